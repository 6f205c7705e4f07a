#!python
import importlib.util
import os
import sys

package = os.path.dirname(importlib.util.find_spec("riata").origin)  # not imported: that would take NumPy's time
os.execv(os.path.join(package, "riata"), sys.argv)
