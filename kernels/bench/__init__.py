"""`python -m kernels bench`, `ceiling`, `compare` and `new`: time anybody's kernel, and only a right one.

`problems` says what is to be done, `work` draws the arrays, `oracle` knows the answers, `contestants` and
`peers` compute, `measure` holds the clock, `ceiling` what the machine can do, `results` what is kept.
"""
