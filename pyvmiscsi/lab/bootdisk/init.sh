#!/bin/busybox sh
# shellcheck shell=dash
# The guest's whole userland: PID 1 of the lab's boot disk. Says on the console what it sees and does, a fact a line.
# It lives in memory, so it stays up when its disk is taken away.

say() { echo "GUEST-$*"; }

mount -t sysfs s /sys
mount -t devtmpfs d /dev
mount -t proc p /proc
# a program start is slow under emulation: what the shell can do alone, it does alone
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk evdev button; do
  insmod /lib/$module.ko
done

# the disk this came from: the one whose second partition begins with the lab's own line
found=
tries=0
while [ -z "$found" ] && [ $tries -lt 100 ]; do
  for part in /dev/vd?2 /dev/nvme?n?p2; do
    [ -b "$part" ] || continue
    if read -r magic marker behaviour boots rest <"$part" && [ "$magic" = PYVMISCSI-BOOTDISK ]; then
      found=$part
      break
    fi
  done
  [ -n "$found" ] || sleep 0.1
  tries=$((tries + 1))
done

read -r uptime rest </proc/uptime
say "UP uptime=$uptime"
for disk in /sys/block/*; do
  name=${disk##*/}
  case $name in vd* | nvme*) ;; *) continue ;; esac
  serial=
  [ -f "$disk/serial" ] && read -r serial <"$disk/serial"
  [ -f "$disk/device/serial" ] && read -r serial <"$disk/device/serial"
  read -r logical <"$disk/queue/logical_block_size"
  read -r physical <"$disk/queue/physical_block_size"
  read -r sectors <"$disk/size"
  read -r readonly <"$disk/ro"
  say "DISK $name logical=$logical physical=$physical bytes=$((sectors * 512)) serial=$serial readonly=$readonly"
done

errors=0
# put BLOCK TEXT: write one block, through to the disk
put() {
  printf '%s\n' "$2" | dd of="$found" bs=4096 seek="$1" conv=sync,fsync,notrunc 2>/dev/null && return 0
  errors=$((errors + 1))
  say "IO-ERROR write errors=$errors"
  return 1
}
# get BLOCK: read one block from the disk, not from memory
get() {
  dd if="$found" iflag=direct bs=4096 skip="$1" count=1 2>/dev/null | { read -r line && echo "$line"; }
}

if [ -z "$found" ]; then
  say "MARKER none"
  behaviour=poweroff
else
  boots=$((boots + 1))
  say "MARKER $marker boot=$boots from=$found behaviour=$behaviour"
  if put 0 "PYVMISCSI-BOOTDISK $marker $behaviour $boots" && put 1 "written-by-guest $marker $boots"; then
    if [ "$(get 1)" = "written-by-guest $marker $boots" ]; then say "WRITE ok"; else say "WRITE differs"; fi
  else
    say "WRITE refused"
  fi
fi

down() {
  say "DOWN $1"
  "$1" -f
}

case $behaviour in
  stay | write | deaf) ;;
  reboot) if [ "$boots" = 1 ]; then down reboot; else down poweroff; fi ;;
  *) down poweroff ;;
esac

# the power button is an input device: whoever reads it wakes up when it is pressed
for event in /sys/class/input/event*; do
  read -r name <"$event/device/name"
  [ "$name" = "Power Button" ] && button=/dev/input/${event##*/}
done
[ -z "${button:-}" ] || exec 3<"$button" # a press before somebody has it open is lost
say "READY button=${button:-}"
[ "$behaviour" = deaf ] || (
  dd of=/dev/null bs=24 count=1 <&3 2>/dev/null
  say "BUTTON"
  down poweroff
) &

beat=0
while :; do
  beat=$((beat + 1))
  if [ "$behaviour" != stay ]; then
    put $((2 + beat % 64)) "beat $beat" && say "WROTE $beat"
    sleep 0.3
  else
    say "BEAT $beat"
    sleep 1
  fi
done
