"""What hangs on a machine: found on drawn trees of /dev and /sys, with what to do about it."""

import os
import sys

import pytest

from edgecnn.runtime import attached
from edgecnn.runtime.attached import cameras, device_capabilities, edge_tpu, raspberry_camera

# Cameras


def test_no_camera_is_a_note(tmp_path):
    assert cameras(tmp_path, tmp_path).status == "note"


def test_cameras_are_listed_in_order_with_their_names(tmp_path):
    for name in ("video10", "video2", "video0"):
        (tmp_path / name).touch()
    (tmp_path / "names" / "video0").mkdir(parents=True)
    (tmp_path / "names" / "video0" / "name").write_text("HD Webcam\n")
    found = cameras(tmp_path, tmp_path / "names")
    assert found.status == "ok"
    places = [found.found.index(word) for word in ("video0 (HD Webcam)", "video2 (unknown)", "video10")]
    assert places == sorted(places)


def test_nodes_that_give_no_images_are_no_cameras(tmp_path):
    kinds = {"video0": 0x84A00001, "video1": 0x84A00000, "video10": 0x84204000, "video11": 0x84208000}
    for name in kinds:
        (tmp_path / name).touch()
    found = cameras(tmp_path, tmp_path, capabilities=lambda path: kinds[path.name])
    assert found.status == "ok"
    assert found.found.startswith(f"{tmp_path}/video0 (unknown); besides")
    assert found.found.endswith("1 metadata, 2 codec")
    del kinds["video0"]
    (tmp_path / "video0").unlink()
    alone = cameras(tmp_path, tmp_path, capabilities=lambda path: kinds[path.name])
    assert (alone.status, alone.found[:4]) == ("note", "none")


def test_cameras_that_this_user_may_not_open_are_a_problem(tmp_path, monkeypatch):
    (tmp_path / "video0").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = cameras(tmp_path, tmp_path)
    assert found.status == "problem"
    assert "usermod -aG video" in found.advice


def test_what_is_no_video_device_tells_nothing(tmp_path):
    file = tmp_path / "video0"
    assert device_capabilities(file) is None
    file.touch()
    assert device_capabilities(file) is None
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    device_capabilities(file)
    assert not before or len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_drivers_answer_is_read_where_linux_puts_it(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "video0").touch()
    answer = bytearray(104)
    answer[84:88] = (0x84A00001).to_bytes(4, "little")  # of the whole camera: capabilities
    answer[88:92] = (0x04A00000).to_bytes(4, "little")  # of this node: device_caps
    monkeypatch.setattr(fcntl, "ioctl", lambda *given: bytes(answer))
    assert device_capabilities(tmp_path / "video0") == 0x04A00000


# A Raspberry Pi's own camera


def nothing(name):
    return False


def everything(name):
    return True


def installed(folder, tag="cpython-311"):
    (folder / "picamera2").mkdir()
    (folder / "libcamera").mkdir()
    (folder / "libcamera" / f"_libcamera.{tag}-aarch64-linux-gnu.so").touch()
    return folder


def test_a_machine_that_is_no_raspberry_pi_does_not_miss_picamera(tmp_path):
    assert raspberry_camera("Intel(R) Xeon(R)", tmp_path, is_found=nothing) == []


def test_a_raspberry_pi_without_picamera_is_told_how_to_get_it(tmp_path):
    (found,) = raspberry_camera("Raspberry Pi 5 Model B Rev 1.0", tmp_path, is_found=nothing)
    assert (found.status, found.found) == ("note", "not installed")
    assert "apt install python3-picamera2" in found.advice


@pytest.mark.parametrize("is_virtual", [True, False])
def test_a_picamera_that_an_environment_hides_is_a_problem(tmp_path, is_virtual):
    packages = installed(tmp_path, f"cpython-{sys.version_info.major}{sys.version_info.minor}")
    (found,) = raspberry_camera("Raspberry Pi 5", packages, is_found=nothing, is_virtual=is_virtual)
    assert found.status == "problem"
    assert "system-site-packages" in found.advice
    assert ("pyvenv.cfg" in found.advice) == is_virtual


def test_a_picamera_for_another_python_is_a_problem(tmp_path):
    (found,) = raspberry_camera("Raspberry Pi 5", installed(tmp_path, "cpython-27"), is_found=nothing)
    assert "installed for cpython-27, but this is cpython-3" in found.found
    assert "/usr/bin/python3" in found.advice


def test_a_picamera_that_can_be_imported_is_fine(tmp_path):
    (found,) = raspberry_camera("Raspberry Pi 5", tmp_path, is_found=everything, importing=lambda: "")
    assert (found.status, found.advice) == ("ok", "")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ValueError: numpy.dtype size changed, may indicate binary incompatibility", "'numpy<2'"),
        ("ImportError: libcamera.so.0.5: cannot open shared object file", "--reinstall"),
    ],
)
def test_a_picamera_that_cannot_be_imported_is_a_problem_with_its_reason(tmp_path, said, advice):
    (found,) = raspberry_camera("Raspberry Pi 5", tmp_path, is_found=everything, importing=lambda: said)
    assert found.status == "problem"
    assert said in found.found
    assert advice in found.advice


def test_importing_is_tried_in_another_process(monkeypatch):
    if attached.find_spec("picamera2") is not None:
        pytest.skip("this machine has Picamera2")
    assert attached._import_picamera() == "ModuleNotFoundError: No module named 'picamera2'"


# A Coral Edge TPU


def coral(tmp_path, vendor="18d1", product="9302"):
    place = tmp_path / "usb" / "2-1"
    place.mkdir(parents=True)
    for name, value in (("idVendor", vendor), ("idProduct", product), ("busnum", "2"), ("devnum", "7")):
        (place / name).write_text(f"{value}\n")
    node = tmp_path / "dev" / "bus" / "usb" / "002" / "007"
    node.parent.mkdir(parents=True)
    node.touch()
    return {"usb": tmp_path / "usb", "devices": tmp_path / "dev"}


@pytest.mark.parametrize("version", ["", "BuildLabel(COMPILER=5.4.0)"])
def test_without_a_coral_device_there_is_nothing_to_do(tmp_path, version):
    found = edge_tpu(tmp_path, tmp_path, version=lambda: version)
    assert (found.status, found.advice) == ("note", "")
    assert "no Coral device" in found.found


@pytest.mark.parametrize(("vendor", "product"), [("18d1", "9302"), ("1a6e", "089a")])
def test_a_coral_device_with_its_runtime_is_fine(tmp_path, vendor, product):
    found = edge_tpu(**coral(tmp_path, vendor, product), version=lambda: "RuntimeVersion(14)")
    assert found.status == "ok"
    assert "Coral USB" in found.found
    assert "RuntimeVersion(14)" in found.found


def test_another_usb_device_is_no_coral(tmp_path):
    assert "no Coral device" in edge_tpu(**coral(tmp_path, "046d", "0825"), version=lambda: "").found


def test_a_coral_device_without_its_runtime_is_a_problem(tmp_path):
    found = edge_tpu(**coral(tmp_path), version=lambda: "")
    assert found.status == "problem"
    assert "libedgetpu1-std" in found.advice


@pytest.mark.parametrize(("kind", "group"), [("usb", "plugdev"), ("pcie", "apex")])
def test_a_coral_device_that_this_user_may_not_open_is_a_problem(tmp_path, monkeypatch, kind, group):
    places = coral(tmp_path) if kind == "usb" else {"usb": tmp_path / "none", "devices": tmp_path}
    if kind == "pcie":
        (tmp_path / "apex_0").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = edge_tpu(**places, version=lambda: "RuntimeVersion(14)")
    assert found.status == "problem"
    assert f"usermod -aG {group}" in found.advice
