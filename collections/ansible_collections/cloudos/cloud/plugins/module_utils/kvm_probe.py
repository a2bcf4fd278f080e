"""Whether KVM really runs guests here; /dev/kvm alone tells little.

There are machines, virtual ones above all, whose /dev/kvm opens and creates virtual machines that then hang, lack
instructions, or run many times slower than emulation. So a guest is started that does what every operating system does
first, and has to end before emulation, which is measured with the same guest, would have ended twice. It is a boot
sector: protected mode and a return from an interrupt there, long mode with paging and a return from an interrupt there,
a thousand rounds of CPUID (an exit to the host each) and of reloading the page tables, a quarter of a billion rounds of
an empty loop (0.1 s for a processor, 0.6 s emulated, minutes where each instruction is interpreted), then a write to
QEMU's debug exit port. The processor is the host's own with all features, because guests of a compute node get that.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

DEVICE = Path("/dev/kvm")
QEMU = "qemu-system-x86_64"
# Seconds that emulation may take on the busiest machine, and that KVM may take in any case, which starts QEMU, too.
EMULATED = 60.0
LEAST = 2.0
# What isa-debug-exit makes of the 0x10 that the guest writes.
SUCCESS = 0x10 << 1 | 1

# Loaded at 0x7c00; assembled from the instructions on the right.
SECTOR = (
    bytes.fromhex(
        "fa"  # cli                     16 bit
        "31c0"  # xor %ax,%ax
        "8ed8"  # mov %ax,%ds
        "8ec0"  # mov %ax,%es
        "8ed0"  # mov %ax,%ss
        "bc0070"  # mov $0x7000,%sp
        "fc"  # cld
        "bf0010"  # mov $0x1000,%di
        "b90018"  # mov $0x1800,%cx
        "f3ab"  # rep stos %ax,%es:(%di)  three empty page tables at 0x1000, 0x2000, 0x3000
        "c70600100320"  # movw $0x2003,0x1000
        "c70600200330"  # movw $0x3003,0x2000
        "c70600308300"  # movw $0x83,0x3000       the first two MiB map to themselves
        "0f0116d07c"  # lgdtw 0x7cd0
        "0f011ede7c"  # lidtw 0x7cde
        "0f20c0"  # mov %cr0,%eax
        "0c01"  # or $0x1,%al             protection
        "0f22c0"  # mov %eax,%cr0
        "ea3e7c1000"  # ljmp $0x10,$0x7c3e
        "66b81800"  # mov $0x18,%ax           from here on 32 bit
        "8ed8"  # mov %eax,%ds
        "8ec0"  # mov %eax,%es
        "8ed0"  # mov %eax,%ss
        "bc00700000"  # mov $0x7000,%esp
        "cd00"  # int $0x0                to one of the two returns below
        "0f20e0"  # mov %cr4,%eax
        "0c20"  # or $0x20,%al            physical address extension
        "0f22e0"  # mov %eax,%cr4
        "b800100000"  # mov $0x1000,%eax
        "0f22d8"  # mov %eax,%cr3
        "b9800000c0"  # mov $0xc0000080,%ecx    EFER: long mode
        "0f32"  # rdmsr
        "80cc01"  # or $0x1,%ah
        "0f30"  # wrmsr
        "0f011df47c0000"  # lidtl 0x7cf4
        "0f20c0"  # mov %cr0,%eax
        "0d00000080"  # or $0x80000000,%eax     paging
        "0f22c0"  # mov %eax,%cr0
        "ea847c00000800"  # ljmp $0x8,$0x7c84
        "cd00"  # int $0x0                from here on 64 bit
        "bee8030000"  # mov $0x3e8,%esi
        "31c0"  # xor %eax,%eax
        "0fa2"  # cpuid
        "0f20d8"  # mov %cr3,%rax
        "0f22d8"  # mov %rax,%cr3
        "ffce"  # dec %esi
        "75f2"  # jne 0x7c8b
        "be80b2e60e"  # mov $0xee6b280,%esi     250 million
        "ffce"  # dec %esi
        "75fc"  # jne 0x7c9e
        "b010"  # mov $0x10,%al
        "e6f4"  # out %al,$0xf4
        "f4"  # hlt
        "ebfd"  # jmp 0x7ca6
        "48cf"  # iretq
        "cf"  # iret                    of 32 bit
        "8d742600"  # filled up to 0x7cb0
        "0000000000000000"  # gdt: none
        "00000000009a2000"  # gdt: code, 64 bit
        "ffff0000009acf00"  # gdt: code, 32 bit
        "ffff00000092cf00"  # gdt: data
        "1f00b07c0000"  # gdtr at 0x7cd0
        "ab7c1000008e0000"  # idt of 32 bit: iret
        "0700d67c0000"  # idtr at 0x7cde
        "a97c0800008e00000000000000000000"  # idt of 64 bit: iretq
        "0f00e47c0000"  # idtr at 0x7cf4
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


def kvm_works():
    """(True or False, why): whether a guest comes up under KVM and ends, and sooner than emulation would end it twice.

    Takes about a second where KVM works, and three where it hangs; callers keep the answer. Needs nothing but QEMU.
    """
    if not DEVICE.exists():
        return False, f"there is no {DEVICE}"
    began = time.monotonic()
    ended, why = run_guest("tcg", "max", EMULATED)
    if not ended:
        return False, why
    return run_guest("kvm", "host", max(LEAST, 2 * (time.monotonic() - began)))


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
            return False, f"a small guest under {accelerator} did not end within {timeout:.1f} s"
    if done.returncode == SUCCESS:
        return True, f"a small guest under {accelerator} ran and ended"
    said = done.stderr.strip().splitlines() or ["no message"]
    return False, f"QEMU under {accelerator} ended with {done.returncode}: {next((line for line in said if 'error' in line), said[-1])}"
