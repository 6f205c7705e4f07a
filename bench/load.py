"""How busy others kept the machine while we measured."""

import os
from pathlib import Path


class OtherLoad:
    """Cores' worth of work since this was made by all but the given sessions of processes; a hypervisor's share counts."""

    def __init__(self, sessions):
        self._sessions = set(sessions)
        self._start = self._reading()

    def cores(self):
        total, busy, mine = (now - then for now, then in zip(self._reading(), self._start))
        return max(0.0, (busy - mine) / total * os.cpu_count()) if total else 0.0

    def _reading(self):
        """Clock ticks of all cores together: all, not idle, ours."""
        user, nice, system, idle, waiting, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
        busy = user + nice + system + sum(rest)
        return busy + idle + waiting, busy, sum(map(self._ticks, Path("/proc").glob("[0-9]*/stat")))

    def _ticks(self, stat):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            return 0
        return int(fields[11]) + int(fields[12]) if int(fields[3]) in self._sessions else 0
