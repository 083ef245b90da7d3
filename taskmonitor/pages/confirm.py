"""What is asked before something is done that cannot be undone: as a page, which confirm.js shows as a dialog."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be done, what will happen then, the verb on the button, and where one goes who cancels."""

    title: str
    words: str
    verb: str
    back: str
    refused: str = ""  # why it cannot be done now
    wants_reason: bool = False


def ask(
    request: HttpRequest, question: Question, *, reason: str = "", problem: str = "", status: int = 200
) -> HttpResponse:
    context = {"question": question, "reason": reason, "problem": problem}
    return render(request, "taskmonitor/confirm.html", context, status=status)
