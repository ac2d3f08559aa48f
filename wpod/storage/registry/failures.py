"""What went wrong below a request, in words: the one line that a user reads of a chain of library exceptions."""

from __future__ import annotations


def cause(error: Exception) -> str:
    """The root of nested exceptions; told by their text, for no type of theirs says it."""
    text = str(error)
    if "to proxy" in text:
        return "the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY) can't be reached"
    for sign, words in (
        ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not trusted"),
        ("WRONG_VERSION_NUMBER", "the server does not speak TLS"),
        ("NameResolution", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("timed out", "timed out"),
        ("reset by peer", "connection reset by the server"),
        ("unreachable", "the network is unreachable"),
    ):
        if sign in text:
            detail = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
            return f"{words} ({detail})" if detail and sign.startswith("CERT") else words
    deepest: BaseException = error
    while deepest.__cause__ is not None or deepest.__context__ is not None:
        deepest = deepest.__cause__ or deepest.__context__ or deepest
    return " ".join(str(deepest).split())[:200] or type(deepest).__name__


def hint(error: Exception) -> str | None:
    """What to do about it, where something helps."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "put the registry's CA into /etc/containers/certs.d/REGISTRY/ca.crt, or use --tls-verify=false"
    if "WRONG_VERSION_NUMBER" in text:
        return "for a registry without TLS use --tls-verify=false"
    return None
