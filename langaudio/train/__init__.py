"""From shards to a network that tells languages apart."""

import os

# Threads that wait must sleep. OpenMP's spin instead, and slow a training down two times and more when the
# cores are shared with other tasks. It is read when torch is imported, so it is said before.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
