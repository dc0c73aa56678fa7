"""attio-sim holds a million records in a fraction of 4 GiB: bytes per record at a size that a test may take.

ATTIOD_SIM_PEOPLE=1000000, as in `tests/run long`, does it for real.
"""
# build: release
# alone: yes

import os
import pathlib

from support.attiod import request
from support.sim_case import SimTest

PEOPLE = int(os.environ.get("ATTIOD_SIM_PEOPLE", "120000"))
BYTES_A_RECORD = 1200  # about 780 were measured; 4 GiB for a million would be 4295


class Million(SimTest):
    people, companies, deals = PEOPLE, PEOPLE // 20, PEOPLE // 10

    def resident(self):
        text = pathlib.Path(f"/proc/{self.sim.child.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024

    def test_memory_also_while_everything_is_dumped(self):
        records = self.people + self.companies + self.deals
        started = self.resident()
        self.assertLess(started / records, BYTES_A_RECORD)
        status, answer = request(self.sim.port, "GET", "/_sim/state?object=people&form=compact", timeout=120)
        self.assertEqual((status, len(answer["records"])), (200, self.people))
        self.assertLess(self.resident() - started, (16 << 20) + 16 * self.people)
        self.assertLess(self.resident(), 4 << 30)
        print(f"{started / records:.0f} bytes a record, {self.resident() >> 20} MiB in all")
