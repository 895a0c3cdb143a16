#!/usr/bin/env bash
# Slurm 22.05.8 (Debian 12): scancel does not take the id of a job array as squeue shows it, and then cancels nothing.
#
# Expected: `scancel $(squeue -h -o %i)` cancels what squeue lists. If one id cannot be read, the others are cancelled.
# Happens:  squeue shows an array with a limit of running members as `1_[1-4%2]`. scancel says `Invalid job id`, ends
#           with 1, and leaves every other job of the same command alone, whether it stands before or after that id.
# So:       give scancel the plain id of an array (`squeue -h -o %F`), or drop the `%2`; and look at its exit code.
#           A cleaning script that ends in `|| true` leaves all jobs of the user behind because of a single array.
#
# Starts a private slurmctld on loopback, without slurmd, so that no job ever runs, and ends it. Needs Debian 12 with
# apt-get, and python3. Installs nothing. Takes half a minute. Ends with 1 if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
controller=
trap '[ -z "$controller" ] || kill "$controller"; wait; rm -rf "$folder"' EXIT
cd "$folder"
version=22.05.8-4+deb12u3
apt-get download -qq slurmctld=$version slurm-client=$version slurm-wlm-basic-plugins=$version \
    libmunge2=0.5.15-2+deb12u1 2>apt.log || { cat apt.log >&2; exit 1; }
for package in *.deb; do dpkg-deb -x "$package" root; done
libraries=$(dirname "$(find "$folder/root" -name auth_none.so)")
export PATH="$folder/root/usr/bin:$PATH" SLURM_CONF="$folder/slurm.conf"
export LD_LIBRARY_PATH="$libraries:$(dirname "$libraries")"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
mkdir state
cat >slurm.conf <<EOF
ClusterName=private
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
CommunicationParameters=NoInAddrAny
AuthType=auth/none
CredType=cred/none
SlurmUser=$(id -un)
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
PluginDir=$libraries
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/linear
NodeName=absent NodeAddr=127.0.0.1 Port=$(free_port) CPUs=1 State=DOWN
PartitionName=all Nodes=absent Default=YES
EOF
root/usr/sbin/slurmctld-wlm -D -i >slurmctld.log 2>&1 &
controller=$!
for _ in $(seq 100); do scontrol ping 2>/dev/null | grep -q UP && break; sleep 0.2; done

printf '#!/bin/sh\nsleep 60\n' >job.sh
sbatch --parsable --hold --array=1-4%2 job.sh >/dev/null
plain=$(sbatch --parsable --hold job.sh)
list() { squeue --noheader --format='%i' | sort; }
echo "squeue lists:" && list | sed 's/^/  /'
array=$(list | grep _)
for ids in "$array $plain" "$plain $array"; do
    echo "scancel $ids"
    # shellcheck disable=SC2086 # two ids
    if scancel $ids 2>said; then echo "Changed: scancel takes it now." >&2; exit 1; fi
    sed 's/^/  /' said
done
echo "squeue lists afterwards:" && list | sed 's/^/  /'
[ "$(list | wc -l)" = 2 ] || { echo "Changed: some jobs were cancelled." >&2; exit 1; }
echo "scancel ${array/\%2/} $plain"
scancel "${array/\%2/}" "$plain"
[ -z "$(list)" ] || { echo "Changed: an id without the limit is not taken any more." >&2; exit 1; }
echo "As described: one id as squeue shows it kept the other job from being cancelled; without its %2, both are gone."
