"""The files of the guest image's initial root file system: a whole small system in shell, on busybox, dropbear, curl and sudo.

It lives in memory; nothing of an instance's own is kept over a reboot, and every boot asks the metadata service again.
"""

from __future__ import annotations

# Kernel modules by the moment they are needed: the first before the network, the others while it comes up.
EARLY_MODULES = ("virtio_pci", "virtio_net", "virtio_blk")
LATE_MODULES = (
    "virtio_scsi",
    "ata_piix",
    "sd_mod",
    "sr_mod",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "button",
    "evdev",
    "virtio_rng",
    "virtio_balloon",
    "8021q",
)

# rdrand seeds the random number generator, which the SSH server waits for; the others save seconds under emulation.
KERNEL_OPTIONS = (
    "console=tty0 console=ttyS0,115200n8 quiet mitigations=off no_timer_check nokaslr tsc=unstable "
    "random.trust_cpu=on random.trust_bootloader=on panic=10"
)

SYSLINUX = f"""DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
  KERNEL vmlinuz
  INITRD initrd
  APPEND {KERNEL_OPTIONS}
"""

INIT = f"""#!/bin/sh
export PATH=/bin:/usr/bin:/sbin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
exec >/dev/console 2>&1 </dev/console
for module in {" ".join(EARLY_MODULES)}; do modprobe $module; done
hostname guest
echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range  # anybody may ping
ip link set lo up
for path in /sys/class/net/eth*; do
    [ -e $path ] || continue
    ip link set ${{path##*/}} up
    udhcpc -i ${{path##*/}} -b -t 30 -T 1 -S -s /etc/dhcp -x hostname:guest &
done
( for module in {" ".join(LATE_MODULES)}; do modprobe $module; done
  tries=0  # the drive shows some time after its driver
  until [ -e /dev/sr0 ] || [ $((tries += 1)) -gt 50 ]; do sleep 0.2; done && [ -e /dev/sr0 ] && chgrp cdrom /dev/sr0 && chmod 660 /dev/sr0 &
  exec acpid -f -c /etc/acpi >/dev/null 2>&1 ) &
/etc/instance &
dropbearkey -t ed25519 -f /etc/dropbear/dropbear_ed25519_host_key >/dev/null 2>&1
dropbear -s -E -R
echo "guest up after $(cut -d' ' -f1 /proc/uptime) s"
while :; do setsid getty -L 115200 ttyS0 vt100; sleep 1; done &
while :; do setsid getty 38400 tty1 linux; sleep 1; done
"""

DHCP = """#!/bin/sh
# Called by udhcpc with what the DHCP server said.
case $1 in bound|renew) ;; *) exit 0 ;; esac
ip addr flush dev $interface
ip addr add $ip/${mask:-24} dev $interface
[ -n "$mtu" ] && ip link set $interface mtu $mtu
[ -n "$router" ] && ip route replace default via ${router%% *} dev $interface
set -- $staticroutes
while [ $# -ge 2 ]; do ip route replace $1 via $2 dev $interface 2>/dev/null; shift 2; done
for server in $dns; do echo nameserver $server; done >/etc/resolv.conf
echo "$interface has $ip after $(cut -d' ' -f1 /proc/uptime) s"
: >/run/network.$interface
"""

# wget's own -T crashes in Debian's busybox, so timeout(1) bounds it.
INSTANCE = r"""#!/bin/sh
# Makes the guest the instance it is: keys, name and user data, from the metadata service or else from a config drive.
metadata=http://169.254.169.254
drive=/run/config-drive
get() { timeout 5 wget -q -O "$1" "$metadata/openstack/latest/$2" 2>/dev/null; }

from_service() {
    ls /run/network.* >/dev/null 2>&1 && get /run/metadata meta_data.json || return 1
    get /run/user-data user_data
    return 0  # most instances have no user data
}

from_drive() {
    device=$(blkid | grep 'LABEL="config-2"' | cut -d: -f1)
    mkdir -p $drive
    [ -n "$device" ] && mount -o ro $device $drive 2>/dev/null || return 1
    cp $drive/openstack/latest/meta_data.json /run/metadata
    cp $drive/openstack/latest/user_data /run/user-data 2>/dev/null
    umount $drive
}

tries=0
until source=service && from_service || { source=drive && from_drive; }; do
    tries=$((tries + 1))
    [ $((tries % 300)) -eq 0 ] && echo "no metadata service and no config drive after $tries tries; trying on"
    sleep 0.2
done
grep -o '"ssh-[^"]*"\|"ecdsa-[^"]*"' /run/metadata | sed 's/\\n"$/"/; s/^"//; s/"$//' | sort -u >/run/keys
sed -n 's/.*"hostname": *"\([^"]*\)".*/\1/p' /run/metadata >/run/hostname
[ -s /run/hostname ] && hostname "$(cut -d. -f1 /run/hostname)"
echo "127.0.0.1 $(hostname)" >>/etc/hosts
for home in /root /home/cloud; do
    cp /run/keys $home/.ssh/authorized_keys
    chmod 600 $home/.ssh/authorized_keys
done
chown -R cloud:cloud /home/cloud
echo "$(grep -c . /run/keys) keys from the metadata $source after $(cut -d' ' -f1 /proc/uptime) s"
if [ "$(head -c2 /run/user-data)" = '#!' ]; then
    chmod 700 /run/user-data
    /run/user-data
    echo "user data ended with $?"
fi
"""

FILES = {
    "init": INIT,
    "etc/dhcp": DHCP,
    "etc/instance": INSTANCE,
    "etc/acpi/PWRF/00000080": "#!/bin/sh\npoweroff -f\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ncloud:x:1000:1000:cloud:/home/cloud:/bin/sh\n",
    "etc/group": "root:x:0:\ntty:x:5:\ncdrom:x:24:cloud\ncloud:x:1000:\n",
    # Keys only: no password opens either account.
    "etc/shadow": "root:*:19000:0:99999:7:::\ncloud:*:19000:0:99999:7:::\n",
    # Whoever has the instance's key is its administrator.
    "etc/sudoers": "root ALL=(ALL) NOPASSWD: ALL\ncloud ALL=(ALL) NOPASSWD: ALL\n",
    "etc/pam.d/sudo": "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    "etc/shells": "/bin/sh\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hosts": "127.0.0.1 localhost guest\n",
    "etc/issue": "Cloud OS guest \\n, reached by SSH with the instance's key as cloud or root\n",
}
DIRECTORIES = (
    "bin",
    "sbin",
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "mnt",
    "usr/bin",
    "usr/sbin",
    "var/log",
    "etc/dropbear",
    "root/.ssh",
    "home/cloud/.ssh",
)
# A file's mode; 0644 unless here.
MODES = {"etc/shadow": 0o600, "etc/sudoers": 0o440, **{name: 0o755 for name, content in FILES.items() if content.startswith("#!")}}
