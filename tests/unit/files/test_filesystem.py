from __future__ import annotations

from pathlib import Path

import pytest

from ticklake.files.filesystem import filesystem_kind, find_filesystem

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw
31 22 0:40 / /mnt/net rw - nfs4 server:/export rw
32 22 0:41 / /mnt/with\\040space rw - fuse.sshfs host:/x rw
33 22 0:42 / /data rw - overlay overlay rw
34 33 8:1 / /data rw - xfs /dev/sda1 rw
""".splitlines()


@pytest.mark.parametrize(
    ("path", "name", "warns"),
    [
        ("/var/lib/lake", "ext4", False),
        ("/dev/shm/lake", "tmpfs", True),
        ("/dev/shmoo", "ext4", False),
        ("/mnt/net", "nfs4", True),
        ("/mnt/with space/lake", "fuse.sshfs", True),
        ("/data/lake", "xfs", False),
    ],
)
def test_the_innermost_and_latest_mount_decides(path: str, name: str, warns: bool) -> None:
    kind = find_filesystem(MOUNTS, path)
    assert (kind.name, bool(kind.warning)) == (name, warns)


def test_the_folder_of_this_test_lies_on_something(tmp_path: Path) -> None:
    kind = filesystem_kind(str(tmp_path / "not" / "there" / "yet"))
    assert kind.name
    assert str(tmp_path).startswith(kind.mount_point)
