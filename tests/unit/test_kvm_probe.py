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
        ("exit 33", True, "a small guest under kvm ran and ended"),
        ("exec sleep 10", False, "a small guest under kvm did not end within 0.2 s"),
        ("echo a warning >&2; echo failed to set MSR >&2; exit 134", False, "QEMU under kvm ended with 134: failed to set MSR"),
        ("exit 1", False, "QEMU under kvm ended with 1: no message"),
    ],
)
def test_each_outcome_has_its_reason(monkeypatch, tmp_path, script, works, reason):
    stub(monkeypatch, tmp_path, f'[ "$2" = kvm ] || exit 33\n{script}')
    monkeypatch.setattr(kvm_probe, "LEAST", 0.2)
    assert kvm_probe.kvm_works() == (works, reason)


@pytest.mark.parametrize(("kvm", "works"), [("0.5", True), ("2.5", False)])
def test_kvm_may_take_twice_as_long_as_emulation(monkeypatch, tmp_path, kvm, works):
    stub(monkeypatch, tmp_path, f'[ "$2" = kvm ] && sleep {kvm} || sleep 0.5; exit 33')
    monkeypatch.setattr(kvm_probe, "LEAST", 0.2)
    assert kvm_probe.kvm_works()[0] is works


def test_where_not_even_emulation_works_it_is_told(monkeypatch, tmp_path):
    stub(monkeypatch, tmp_path, "exit 1")
    assert kvm_probe.kvm_works() == (False, "QEMU under tcg ended with 1: no message")


@pytest.mark.lab
def test_the_guest_runs_under_emulation():
    assert kvm_probe.run_guest("tcg", "max", timeout=30) == (True, "a small guest under tcg ran and ended")
