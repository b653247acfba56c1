"""redis-benchmark's report as one line: requests, per second, p50, p99 and p99.9 in ms, errors."""

import re
import sys

report = sys.stdin.read()
requests = re.search(r"(\d+) requests completed", report).group(1)
rate = re.search(r"throughput summary: ([\d.]+) requests per second", report).group(1)
steps = [(float(p), float(ms)) for p, ms in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds", report)]


def percentile(wanted):
    return next(ms for reached, ms in steps if reached >= wanted)


print(f"{requests} {float(rate):.0f} {percentile(50):.3f} {percentile(99):.3f} {percentile(99.9):.3f} 0")
