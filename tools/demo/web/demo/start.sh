# SPDX-License-Identifier: BSD-3-Clause
# Runs in the machine before nginx: writes a page about the machine, with nothing but the shell, and becomes nginx.
field() { # FILE NAME: the value after "NAME:"
	while IFS=: read -r name value; do
		case $name in "$2"*) echo $value && return ;; esac
	done <"$1"
}

programs() {
	for d in /proc/[0-9]*; do
		IFS= read -r name <"$d/comm" && echo "<tr><td>${d#/proc/}<td>$name"
	done
}

cpus=0
while read -r word _; do
	[ "$word" = processor ] && cpus=$((cpus + 1))
done </proc/cpuinfo
read -r up _ </proc/uptime
read -r kernel </proc/version

page() {
	echo "<!DOCTYPE html><meta charset=utf-8><title>Carrara</title>"
	echo "<style>body{font:16px sans-serif;margin:3em;max-width:50em}td{padding:.2em 1em .2em 0}</style>"
	echo "<h1>nginx in a Carrara machine</h1><table>"
	echo "<tr><td>Kernel<td>$kernel"
	echo "<tr><td>Processor<td>$(field /proc/cpuinfo 'model name'), CPUs: $cpus"
	echo "<tr><td>Memory<td>$(field /proc/meminfo MemTotal) in all, $(field /proc/meminfo MemAvailable) available"
	echo "<tr><td>From the kernel's start to this page<td>$up s"
	echo "<tr><td>Time now<td><!--# echo var='date_gmt' -->"
	echo "<tr><td>Your request<td>number <!--# echo var='connection_requests' --> of connection" \
		"<!--# echo var='connection' -->, from <!--# echo var='remote_addr' -->"
	echo "</table><h2>Programs</h2><table>"
	programs
	echo "</table>"
}

page >/demo/index.html
exec /usr/sbin/nginx -c /demo/nginx.conf
