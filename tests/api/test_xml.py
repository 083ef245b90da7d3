"""The XML parser and renderer as plain functions."""

from io import BytesIO
from time import process_time
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from api.wire import Body
from api.xml import XMLParser, element
from tests.factories import NOW

LIMIT = 999_000  # bytes: what fits into a request
WRITABLE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda sign: sign >= " " or sign in "\t\n\r"
    )
)


def parse(body: bytes | str) -> Body:
    return XMLParser().parse(BytesIO(body.encode() if isinstance(body, str) else body))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "<a>plain</a>"),
        ("<&>\r", "<a>&lt;&amp;&gt;&#13;</a>"),
        ("]]>", "<a>]]&gt;</a>"),
        ("a\0b\ud800\uffff", "<a>a\ufffdb\ufffd\ufffd</a>"),
        ("", "<a></a>"),
        (True, "<a>true</a>"),
        (False, "<a>false</a>"),
        (7, "<a>7</a>"),
        (NOW, "<a>2026-11-21T12:00:00.000Z</a>"),
        (None, ""),
        ([], ""),
        ([1, 2], "<a>1</a><a>2</a>"),
        ({}, "<a/>"),
        ({"b": None}, "<a/>"),
        ({"href": "/x", "id": 'q"<\n', "b": 1}, '<a href="/x" id="q&quot;&lt;&#10;"><b>1</b></a>'),
        ({"@major": 4}, '<a major="4"/>'),
        ({"id": "1", "#text": "me & you"}, '<a id="1">me &amp; you</a>'),
    ],
)
def test_what_becomes_of_a_value(value: Any, text: str) -> None:
    assert element("a", value) == text


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("<a/>", {"#text": ""}),
        ("<a>x</a>", {"#text": "x"}),
        ("<a> <b>1</b>\n<c/> </a>", {"b": "1", "c": ""}),
        ('<a id="7"><b id="8">x</b></a>', {"id": "7", "b": {"id": "8", "#text": "x"}}),
        ("<a><b>1</b><b>2</b><b/></a>", {"b": ["1", "2", ""]}),
        ('<a b="1"><b>2</b></a>', {"b": ["1", "2"]}),
        ("<a><b>007</b><c>true</c><d>1.5</d></a>", {"b": "007", "c": "true", "d": "1.5"}),
        ("<a><b> x </b></a>", {"b": " x "}),
        ("<a><b>x<!-- no -->y<?no no?>z</b></a>", {"b": "xyz"}),
        ("<a><b><![CDATA[<x> & ]]]]><![CDATA[>]]></b></a>", {"b": "<x> & ]]>"}),
        ("<a><b>&lt;&#65;&#x42;&amp;</b></a>", {"b": "<AB&"}),
        ("<a><b>1\r\n2\r3&#13;</b></a>", {"b": "1\n2\n3\r"}),
        ('<n:a xmlns:n="urn:x"><n:b>1</n:b></n:a>', {"b": "1"}),
        ('<a xmlns="urn:x"><b>1</b></a>', {"b": "1"}),
        ('<?xml version="1.0" encoding="UTF-8"?><?style no?><a><b>é😀</b></a>', {"b": "é😀"}),
        ("\ufeff<a><b>1</b></a>", {"b": "1"}),
    ],
)
def test_what_is_read_from_an_element(text: str, members: dict[str, Any]) -> None:
    assert parse(text) == Body("a", members)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "ascii"])
def test_encodings_that_are_declared_are_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?><a><b>cafe</b></a>'
    assert parse(text.encode(encoding)).members == {"b": "cafe"}


HOSTILE = {
    "empty": b"",
    "blank": b" \n",
    "text": b"job",
    "json": b'{"description": "x"}',
    "html": b"<!DOCTYPE html><html><body>",
    "unclosed": b"<a><b></a>",
    "two roots": b"<a/><b/>",
    "behind the root": b"<a/>x",
    "half": b"<a>" * 7,
    "invalid UTF-8": b"<a>\xff\xfe</a>",
    "overlong UTF-8": b"<a>\xc0\xaf</a>",
    "surrogate in UTF-8": b"<a>\xed\xa0\x80</a>",
    "NUL": b"<a>\0</a>",
    "control": b"<a>\x01</a>",
    "reference to NUL": b"<a>&#0;</a>",
    "reference to a surrogate": b"<a>&#xD800;</a>",
    "reference beyond Unicode": b"<a>&#x110000;</a>",
    "undefined entity": b"<a>&nbsp;</a>",
    "doubled attribute": b'<a b="1" b="2"/>',
    "unbound prefix": b"<n:a/>",
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><a/>',
    "UTF-32": "<a/>".encode("utf-32"),
    "other encoding than declared": b'<?xml version="1.0" encoding="UTF-16"?><a/>',
    "codec of bytes": b'<?xml version="1.0" encoding="zip"?><a/>',
    "codec of another kind": b'<?xml version="1.0" encoding="rot13"?><a/>',
    "no such codec": b'<?xml version="1.0" encoding="nonsense"?><a/>',
    "idna": b'<?xml version="1.0" encoding="idna"?><a/>',
    "nine deep": b"<a>" * 9 + b"</a>" * 9,
    "a thousand deep": b"<a>" * 1000 + b"</a>" * 1000,
    "a hundred thousand deep": b"<a>" * 100_000,
    "many attributes": b"<a " + b" ".join(b'a%d="1"' % n for n in range(10_000)) + b"/>",
    "many elements": b"<a>" + b"<b/>" * (LIMIT // 4) + b"</a>",
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]><a/>',
    "external DTD": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
    "public DTD": b'<!DOCTYPE a PUBLIC "-//X//Y" "http://127.0.0.1:1/a.dtd"><a/>',
    "internal entity": b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "billion laughs": b'<!DOCTYPE a [<!ENTITY l0 "lol">'
    + b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><a>&l9;</a>",
    "quadratic blow-up": b'<!DOCTYPE a [<!ENTITY x "' + b"x" * 100_000 + b'">]><a>' + b"&x;" * 1000 + b"</a>",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_refused_in_no_time(body: bytes) -> None:
    """H1, H2, H3, H5; CPU, the least of three times."""
    times = []
    for _ in range(3):
        begun = process_time()
        with pytest.raises(ParseError) as refusal:
            parse(body)
        times.append(process_time() - begun)
    assert min(times) < 0.05
    assert len(str(refusal.value.detail)) < 300
    assert "codec" not in str(refusal.value.detail)


BIG = {
    "attribute": b'<a b="' + b"x" * LIMIT + b'"/>',
    "text": b"<a>" + b"x" * LIMIT + b"</a>",
    "lines": b"<a>" + b"\n" * LIMIT + b"</a>",
    "references": b"<a>" + b"&#65;" * (LIMIT // 5) + b"</a>",
    "comments": b"<a>" + b"<!---->" * (LIMIT // 7) + b"</a>",
    "instructions": b"<a>" + b"<?x?>" * (LIMIT // 5) + b"</a>",
    "sections": b"<a>" + b"<![CDATA[x]]>" * (LIMIT // 13) + b"</a>",
    "namespaces": b"<a " + b" ".join(b'xmlns:a%d="u%d"' % (n, n) for n in range(40_000)) + b"/>",
    "name": b"<" + b"a" * LIMIT + b"/>",
}


@pytest.mark.parametrize("body", BIG.values(), ids=BIG)
def test_as_much_as_fits_into_a_request_is_read_soon(body: bytes) -> None:
    times = []
    for _ in range(3):
        begun = process_time()
        parse(body)
        times.append(process_time() - begun)
    assert min(times) < 0.25


@pytest.mark.mission("S40")
@given(WRITABLE)
def test_text_comes_back_as_it_went(text: str) -> None:
    written = element("a", {"b": text})
    assert parse(written).members == ({"b": text} if text else {"b": ""})


@given(WRITABLE)
def test_an_attribute_comes_back_as_it_went(text: str) -> None:
    assert parse(element("a", {"id": text, "b": "1"})).members["id"] == text


@given(st.text(st.characters(categories=["Cs", "Cc", "Cn", "Lu"])))
def test_whatever_is_written_is_well_formed(text: str) -> None:
    found: Element = ElementTree.fromstring(element("a", {"id": text, "b": text}))
    assert found.tag == "a"


@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.text("<>/a =\"'&;![]?-x").map("<a>{}</a>".format).map(str.encode),
    )
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Run a million with EXAMPLES=1000000 (conftest.py)."""
    try:
        assert isinstance(parse(body), Body)
    except ParseError as refusal:
        assert str(refusal.detail)  # noqa: PT017 - either is right
