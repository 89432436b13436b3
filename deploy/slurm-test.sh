#!/usr/bin/env bash
# A Slurm cluster of one node, this machine, for tests: everything of it lies in one folder, it listens
# on loopback-only names and free ports, and it needs neither systemd nor the system's munge. Jobs of the
# partition `urgent` preempt those of `debug`, which queue again, and of `yields`, which end.
#
#   deploy/slurm-test.sh start DIR    make the cluster in DIR and wait until it takes jobs
#   deploy/slurm-test.sh daemon DIR slurmctld|slurmd    start one daemon again, after a kill
#   deploy/slurm-test.sh stop DIR     end its daemons
#
# `export SLURM_CONF=DIR/slurm.conf` is all that sbatch, squeue and the others need to find it. On Debian:
# apt-get install slurmctld slurmd slurm-client munge
set -euo pipefail

say_usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
[ $# -ge 2 ] || say_usage
action="$1"
mkdir -p "$2"
dir="$(cd "$2" && pwd)"
export SLURM_CONF="$dir/slurm.conf"
PATH="$PATH:/usr/sbin"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_munge() {
  dd if=/dev/urandom of="$dir/munge.key" bs=128 count=1 status=none
  chmod 600 "$dir/munge.key"
  munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
    --log-file="$dir/munged.log" --seed-file="$dir/munged.seed" --num-threads=2 2>>"$dir/munged.err"
}

# Limits of memory need a cgroup (version 1) that may be written to, which few containers have.
memory_can_be_limited() {
  [ -d /sys/fs/cgroup/memory ] && mkdir "/sys/fs/cgroup/memory/try$$" 2>/dev/null \
    && rmdir "/sys/fs/cgroup/memory/try$$"
}

configure() {
  local host cores memory task=none
  host="$(hostname -s)"
  node="t$$"
  cores="$(nproc --all)"
  memory="$(awk '/^MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)"
  mkdir -p "$dir/state" "$dir/spool"
  if memory_can_be_limited; then
    task=cgroup
    cat >"$dir/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
MinRAMSpace=5
CONF
  fi
  cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/$task
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$((memory / cores / 2))
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=30
KillWait=5
MessageTimeout=4
MpiDefault=none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=yields Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9
CONF
}

wait_until_idle() {
  for _ in $(seq 300); do
    sinfo --noheader --format=%t 2>/dev/null | grep -qE '^(idle|mix|alloc)$' && return
    sleep 0.1
  done
  echo "slurm-test: the node does not come up; see $dir/slurmctld.log and $dir/slurmd.log" >&2
  exit 1
}

end() { # a daemon, by the id it noted
  local pid
  pid="$(cat "$dir/$1.pid" 2>/dev/null)" || return 0
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

case "$action" in
  start)
    for program in munged slurmctld slurmd sbatch squeue scancel; do
      command -v "$program" >/dev/null || { echo "slurm-test: $program is not installed" >&2; exit 3; }
    done
    configure
    start_munge
    slurmctld
    slurmd
    wait_until_idle
    ;;
  daemon) "${3:?which daemon}" ;;
  stop)
    timeout 10 scancel --user="$(id -un)" --signal=KILL --full 2>/dev/null || true
    node="$(sed -n 's/^NodeName=\([^ ]*\).*/\1/p' "$SLURM_CONF" 2>/dev/null || true)"
    for daemon in slurmd slurmctld munged; do end "$daemon"; done
    if [ -n "$node" ]; then
      find "/sys/fs/cgroup/memory/slurm_$node" -depth -type d -exec rmdir {} + 2>/dev/null || true
    fi
    ;;
  *) say_usage ;;
esac
