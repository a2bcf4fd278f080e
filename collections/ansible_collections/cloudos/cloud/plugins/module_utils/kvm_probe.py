"""Whether KVM really runs guests here; /dev/kvm alone tells little.

There are machines, virtual ones above all, whose /dev/kvm opens and creates virtual machines that then hang, or run
many times slower than emulation. So a guest is started that does what every operating system does first, and has to
end in time. It is a boot sector: switch to long mode with paging, then a thousand rounds of CPUID (an exit to the host
each) and of reloading the page tables, then a write to QEMU's debug exit port. Emulation needs 0.1 s for it, most of it
in the firmware. The processor is the host's own with all features, because guests of a compute node get that.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

DEVICE = Path("/dev/kvm")
QEMU = "qemu-system-x86_64"
TIMEOUT = 5.0
# What isa-debug-exit makes of the 0x10 that the guest writes.
SUCCESS = 0x10 << 1 | 1

# Loaded at 0x7c00; assembled from the instructions on the right.
SECTOR = (
    bytes.fromhex(
        "fa"  # cli
        "31c0"  # xor    %ax,%ax
        "8ed8"  # mov    %ax,%ds
        "8ec0"  # mov    %ax,%es
        "fc"  # cld
        "bf0010"  # mov    $0x1000,%di        three empty page tables at 0x1000, 0x2000, 0x3000
        "b90018"  # mov    $0x1800,%cx
        "f3ab"  # rep stos %ax,%es:(%di)
        "c70600100320"  # movw   $0x2003,0x1000
        "c70600200330"  # movw   $0x3003,0x2000
        "c70600308300"  # movw   $0x83,0x3000       the first two MiB map to themselves
        "0f20e0"  # mov    %cr4,%eax
        "0c20"  # or     $0x20,%al          physical address extension
        "0f22e0"  # mov    %eax,%cr4
        "66b800100000"  # mov    $0x1000,%eax
        "0f22d8"  # mov    %eax,%cr3
        "66b9800000c0"  # mov    $0xc0000080,%ecx   EFER: long mode
        "0f32"  # rdmsr
        "80cc01"  # or     $0x1,%ah
        "0f30"  # wrmsr
        "0f0116807c"  # lgdtw  0x7c80
        "0f20c0"  # mov    %cr0,%eax
        "660d01000080"  # or     $0x80000001,%eax   protection and paging
        "0f22c0"  # mov    %eax,%cr0
        "ea567c0800"  # ljmp   $0x8,$0x7c56
        "bee8030000"  # mov    $1000,%esi         from here on 64 bit
        "31c0"  # xor    %eax,%eax
        "0fa2"  # cpuid
        "0f20d8"  # mov    %cr3,%rax
        "0f22d8"  # mov    %rax,%cr3
        "ffce"  # dec    %esi
        "75f2"  # jne    0x7c5b
        "b010"  # mov    $0x10,%al
        "e6f4"  # out    %al,$0xf4
        "f4"  # hlt
        "ebfd"  # jmp    0x7c6d
        "0000000000000000"  # gdt: none
        "00000000009a2000"  # gdt: code, 64 bit
        "0f00707c0000"  # gdtr at 0x7c80
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


def kvm_works(timeout=TIMEOUT):
    """(True or False, why): whether a guest under KVM comes up and ends within `timeout` seconds.

    Takes well below a second where KVM works and at most `timeout` where it hangs; callers keep the answer. Needs
    nothing but QEMU.
    """
    if not DEVICE.exists():
        return False, f"there is no {DEVICE}"
    return run_guest("kvm", "host", timeout)


def run_guest(accelerator, cpu, timeout):
    """(ended well, what happened) of one run of the boot sector."""
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        disk.write(SECTOR)
        disk.flush()
        command = [
            QEMU,
            "-accel",
            accelerator,
            "-cpu",
            cpu,
            "-m",
            "16",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=1",
            "-drive",
            f"file={disk.name},format=raw,if=ide,snapshot=on",
        ]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
            )
        except FileNotFoundError:
            return False, f"{QEMU} is not installed"
        except subprocess.TimeoutExpired:
            return False, f"a small guest did not end within {timeout:g} s"
    if done.returncode == SUCCESS:
        return True, "a small guest ran and ended"
    said = done.stderr.strip().splitlines() or ["no message"]
    return False, f"QEMU ended with {done.returncode}: {next((line for line in said if 'error' in line), said[-1])}"
