"""What the installed command runs first: an interrupt while Python still imports ends it without a traceback."""

# The module of C that `signal` is a cover of: that one imports others for 3 ms, in which an interrupt would be told.
import _signal  # type: ignore[import-not-found]

from wpod import packed


def run() -> None:
    """Run wpod and exit. Where SIGINT is ignored (nohup, a shell's background), it stays so."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # `main` catches it again, when it can word an end
    packed.use(__file__.rpartition("/")[0])
    from wpod.__main__ import main

    main()
