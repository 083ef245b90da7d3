"""Finds the addresses of a host, and tells which of them belong to everybody's internet."""

import socket
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Semaphore, Thread
from time import monotonic

AT_ONCE = 8  # questions to the resolver, in one process; those that it leaves without an answer count too
GIVEN_OUT = IPv6Network("2000::/3")  # all of IPv6 that anybody has a public address in
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: an IPv4 address in its last bits
NOT_GLOBAL = (  # beside those that Python knows
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # relays for 6to4, once
    IPv6Network("3fff::/20"),  # documentation
)

_asking = Semaphore(AT_ONCE)


def addresses(host: str, port: int, seconds: float) -> list[str]:
    """The host's addresses, in the order in which to try them. TimeoutError if that takes longer than so long.

    A question to the resolver has no time limit and cannot be taken back, so a thread asks it.
    """
    begin = monotonic()
    if not _asking.acquire(timeout=seconds):
        raise TimeoutError(f"{host} cannot be looked up: too many other names have no answer yet")
    answer = Future[list[str]]()
    Thread(target=_ask, args=(host, port, answer), daemon=True).start()
    try:
        return answer.result(seconds - (monotonic() - begin))
    except TimeoutError:
        raise TimeoutError(f"{host} was not found within {round(seconds, 1):g} s") from None


def _ask(host: str, port: int, answer: "Future[list[str]]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answer.set_result([str(address[0]) for *_, address in found])
    except (OSError, UnicodeError) as error:
        answer.set_exception(error)
    finally:
        _asking.release()


def is_public(address: str) -> bool:
    """Whether the address, and the one that it stands for, belongs to everybody's internet."""
    if "%" in address:
        return False  # of one network interface
    ip = _meant(ip_address(address))
    if isinstance(ip, IPv6Address) and ip not in GIVEN_OUT:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_GLOBAL)


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that packets to an IPv6 address end at, if it has one within."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in TRANSLATED:
        return IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or ip
