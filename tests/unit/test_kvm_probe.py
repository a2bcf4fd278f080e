"""The probe's guest really runs (under emulation, which is everywhere), and each way to fail has its reason."""

import pytest
from ansible_collections.cloudos.cloud.plugins.module_utils import kvm_probe


def test_a_boot_sector_is_one_sector_with_its_signature():
    assert len(kvm_probe.SECTOR) == 512
    assert kvm_probe.SECTOR[-2:] == b"\x55\xaa"


def test_without_the_device_kvm_does_not_work(monkeypatch, tmp_path):
    monkeypatch.setattr(kvm_probe, "DEVICE", tmp_path / "kvm")
    assert kvm_probe.kvm_works() == (False, f"there is no {tmp_path}/kvm")


def test_without_qemu_kvm_does_not_work(monkeypatch, tmp_path):
    monkeypatch.setattr(kvm_probe, "DEVICE", tmp_path)
    monkeypatch.setattr(kvm_probe, "QEMU", "qemu-that-is-not-there")
    assert kvm_probe.kvm_works() == (False, "qemu-that-is-not-there is not installed")


def stub(monkeypatch, tmp_path, script):
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(kvm_probe, "DEVICE", tmp_path)
    monkeypatch.setattr(kvm_probe, "QEMU", str(program))


@pytest.mark.parametrize(
    ("script", "works", "reason"),
    [
        ("exit 33", True, "a small guest ran and ended"),
        ("exec sleep 10", False, "a small guest did not end within 0.2 s"),
        ("echo a warning >&2; echo failed to set MSR >&2; exit 134", False, "QEMU ended with 134: failed to set MSR"),
        ("exit 1", False, "QEMU ended with 1: no message"),
    ],
)
def test_each_outcome_has_its_reason(monkeypatch, tmp_path, script, works, reason):
    stub(monkeypatch, tmp_path, script)
    assert kvm_probe.kvm_works(timeout=0.2) == (works, reason)


@pytest.mark.lab
def test_the_guest_runs_under_emulation():
    assert kvm_probe.run_guest("tcg", "max", timeout=30) == (True, "a small guest ran and ended")
