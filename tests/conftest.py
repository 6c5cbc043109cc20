"""One thread per test process: tensors here are small, and threads that wait for each other make tests slow, not fast."""

import torch as th

th.set_num_threads(1)
