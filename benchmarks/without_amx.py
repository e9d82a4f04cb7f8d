"""Run a Python program on an x86 processor as if it had no AMX.

    python benchmarks/without_amx.py -m edgecnn bench a.tflite b.tflite
    python benchmarks/without_amx.py PROGRAM.py …

XNNPACK's int8 convolutions take 64 output channels a step where the processor has AMX, and 16 with AVX-512
VNNI, as most x86 machines; Arm's take 8 or 16. A measurement that is to tell something about small channel
counts on such machines must not use AMX. Linux hands out its registers only on request, and this program has
the request refused (seccomp), for itself and for what it starts; everything else stays as it is.
"""

import ctypes
import runpy
import struct
import sys

_ARCH_PRCTL, _REQ_XCOMP_PERM = 158, 0x1023  # x86-64; asm/prctl.h
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_REFUSE, _ALLOW = 0x00050000 | 1, 0x7FFF0000  # SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse_amx() -> None:
    """From now on the kernel refuses AMX to this process; must be called before the first inference.

    Raises:
        OSError: the kernel knows no seccomp.
    """
    lines = [
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 3, _ARCH_PRCTL),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _REQ_XCOMP_PERM),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = _Program(len(lines), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "seccomp filters are not to be had here")


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        print(__doc__)
        raise SystemExit(0 if sys.argv[1:] else 2)
    refuse_amx()
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
