"""Batch normalisation: the kernels' bodies.

Every kernel over elements cuts them the same way: a block has `width` channels (blockIdx.x) and `chunk` of
each channel's `count` = n l elements (blockIdx.y), element e of channel ch lying at ((e / l) c + ch) l + e % l.
With `width` 1 neighbouring threads read neighbouring pixels, with 32 (few pixels a channel) neighbouring
channels. From one element to a thread's next, the picture and the pixel in it are counted on, not divided anew.
Sums are two-level: in float32 over a chunk in shared memory, in float64 over the chunks in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from numba import float32, float64, int32, uint32

from kernels.cuda import cuda

FAR = 4.0
"""Deviations between the mean and 0 from which on the rounding of the mean is made up for in the gradient."""

_VECTOR = "float32[::1]"


def _types(arrays: int, numbers: int, more: str = "") -> str:
    return f"void({', '.join([_VECTOR] * arrays + ['int32'] * numbers)}{more})"


STATISTICS_TYPES = _types(2, 5)
DRIFT_TYPES = _types(4, 5)
NORMALISE_TYPES = _types(5, 5, ", float32")
MERGE_TYPES = _types(6, 4, ", float64")
GRAD_SUMS_TYPES = _types(8, 5, ", float32")
GRAD_MERGE_TYPES = _types(8, 4)
GRAD_INPUT_TYPES = _types(5, 5, ", float32")


def statistics(threads: int) -> Callable[..., None]:
    """part[t,:,ch] of chunk t: its mean, and the sums of x - mean, which rounding leaves near 0, and its square."""
    half = threads // 2

    def body(x, part, n, c, l, width, chunk):
        s = cuda.shared.array(threads, float32)
        s2 = cuda.shared.array(threads, float32)
        tid = int32(cuda.threadIdx.x)
        lane = int32(uint32(tid) % uint32(width))
        each = int32(uint32(threads) // uint32(width))
        ch = int32(cuda.blockIdx.x * width + lane)
        count = int32(n * l)
        start = int32(cuda.blockIdx.y * chunk)
        end = count if start + chunk > count else int32(start + chunk)
        first = int32(start + uint32(tid) // uint32(width))
        on_picture = int32(uint32(each) // uint32(l)) * c * l
        on_pixel = int32(uint32(each) % uint32(l))
        picture = int32(uint32(first) // uint32(l)) * c * l + ch * l
        pixel = int32(uint32(first) % uint32(l))

        total = float32(0)
        if ch < c:
            at, p = int32(picture), pixel
            for _ in range(first, end, each):
                total += x[uint32(at + p)]
                at = int32(at + on_picture)
                p = int32(p + on_pixel)
                if p >= l:
                    p = int32(p - l)
                    at = int32(at + c * l)
        s[uint32(tid)] = total
        cuda.syncthreads()
        step = half
        while step >= width:
            if tid < step:
                s[uint32(tid)] += s[uint32(tid + step)]
            cuda.syncthreads()
            step = step // 2
        mean = s[uint32(lane)] / float32(end - start)
        cuda.syncthreads()

        rest = float32(0)
        squares = float32(0)
        if ch < c:
            at, p = int32(picture), pixel
            for _ in range(first, end, each):
                d = x[uint32(at + p)] - mean
                rest += d
                squares += d * d
                at = int32(at + on_picture)
                p = int32(p + on_pixel)
                if p >= l:
                    p = int32(p - l)
                    at = int32(at + c * l)
        s[uint32(tid)] = rest
        s2[uint32(tid)] = squares
        cuda.syncthreads()
        step = half
        while step >= width:
            if tid < step:
                s[uint32(tid)] += s[uint32(tid + step)]
                s2[uint32(tid)] += s2[uint32(tid + step)]
            cuda.syncthreads()
            step = step // 2
        if tid < width and ch < c:
            to = int32(cuda.blockIdx.y * 3 * c + ch)
            part[uint32(to)] = mean
            part[uint32(to + c)] = s[uint32(tid)]
            part[uint32(to + 2 * c)] = s2[uint32(tid)]

    return body


def merge(part, gamma, beta, mean, rstd, work, count, c, chunk, chunks, eps):
    """A channel's chunks merged in their order (Chan, Golub and LeVeque 1983): rstd = 1 / sqrt(var + eps), and in
    `work` its scale, and its shift less what the mean lost to rounding times the scale."""
    ch = int32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
    if ch < c:
        anchor = float64(part[uint32(ch)])
        done = float64(0)
        middle = float64(0)  # the mean so far, less the anchor
        spread = float64(0)
        for t in range(chunks):
            at = int32(t * 3 * c + ch)
            last = count if (t + 1) * chunk > count else (t + 1) * chunk
            more = float64(last - t * chunk)
            rest = float64(part[uint32(at + c)]) / more
            apart = (float64(part[uint32(at)]) - anchor) + rest - middle
            spread += float64(part[uint32(at + 2 * c)]) - rest * rest * more
            spread += apart * apart * (done * more / (done + more))
            done += more
            middle += apart * (more / done)
        if spread < 0:
            spread = float64(0)
        mean[uint32(ch)] = anchor + middle
        low = (anchor - float64(mean[uint32(ch)])) + middle
        rstd[uint32(ch)] = 1 / sqrt(spread / count + eps)
        scale = rstd[uint32(ch)] * gamma[uint32(ch)]
        work[uint32(ch)] = scale
        work[uint32(c + ch)] = beta[uint32(ch)] - low * scale


def normalise(threads: int) -> Callable[..., None]:
    """y = act((x - mean) * scale + shift)."""

    def body(x, mean, scale, shift, y, n, c, l, width, chunk, slope):
        tid = int32(cuda.threadIdx.x)
        each = int32(uint32(threads) // uint32(width))
        ch = int32(cuda.blockIdx.x * width + uint32(tid) % uint32(width))
        count = int32(n * l)
        start = int32(cuda.blockIdx.y * chunk)
        end = count if start + chunk > count else int32(start + chunk)
        first = int32(start + uint32(tid) // uint32(width))
        on_picture = int32(uint32(each) // uint32(l)) * c * l
        on_pixel = int32(uint32(each) % uint32(l))
        at = int32(int32(uint32(first) // uint32(l)) * c * l + ch * l)
        p = int32(uint32(first) % uint32(l))
        if ch < c:
            centre, by, plus = mean[uint32(ch)], scale[uint32(ch)], shift[uint32(ch)]
            for _ in range(first, end, each):
                i = int32(at + p)
                z = (x[uint32(i)] - centre) * by + plus
                low = z * slope if slope != 0 else float32(0)
                y[uint32(i)] = low if z <= 0 else z
                at = int32(at + on_picture)
                p = int32(p + on_pixel)
                if p >= l:
                    p = int32(p - l)
                    at = int32(at + c * l)

    return body


def drift(threads: int) -> Callable[..., None]:
    """part[t,ch] = the sum of x - mean over chunk t: what the mean lost to rounding. Of a channel whose mean is
    within `FAR` deviations of 0 that loss is nothing, and x is not read."""
    half = threads // 2

    def body(x, mean, rstd, part, n, c, l, width, chunk):
        s = cuda.shared.array(threads, float32)
        tid = int32(cuda.threadIdx.x)
        each = int32(uint32(threads) // uint32(width))
        ch = int32(cuda.blockIdx.x * width + uint32(tid) % uint32(width))
        count = int32(n * l)
        start = int32(cuda.blockIdx.y * chunk)
        end = count if start + chunk > count else int32(start + chunk)
        first = int32(start + uint32(tid) // uint32(width))
        on_picture = int32(uint32(each) // uint32(l)) * c * l
        on_pixel = int32(uint32(each) % uint32(l))
        at = int32(int32(uint32(first) // uint32(l)) * c * l + ch * l)
        p = int32(uint32(first) % uint32(l))
        total = float32(0)
        if ch < c and abs(mean[uint32(ch)] * rstd[uint32(ch)]) > FAR:
            centre = mean[uint32(ch)]
            for _ in range(first, end, each):
                total += x[uint32(at + p)] - centre
                at = int32(at + on_picture)
                p = int32(p + on_pixel)
                if p >= l:
                    p = int32(p - l)
                    at = int32(at + c * l)
        s[uint32(tid)] = total
        cuda.syncthreads()
        step = half
        while step >= width:
            if tid < step:
                s[uint32(tid)] += s[uint32(tid + step)]
            cuda.syncthreads()
            step = step // 2
        if tid < width and ch < c:
            part[uint32(cuda.blockIdx.y * c + ch)] = s[uint32(tid)]

    return body


def grad_sums(threads: int) -> Callable[..., None]:
    """part[t,:,ch] of chunk t: the sums of g and of g (x - mean), g = gy act'(z)."""
    half = threads // 2

    def body(gy, x, gamma, beta, mean, rstd, lost, part, n, c, l, width, chunk, slope):
        s = cuda.shared.array(threads, float32)
        s2 = cuda.shared.array(threads, float32)
        tid = int32(cuda.threadIdx.x)
        each = int32(uint32(threads) // uint32(width))
        ch = int32(cuda.blockIdx.x * width + uint32(tid) % uint32(width))
        count = int32(n * l)
        start = int32(cuda.blockIdx.y * chunk)
        end = count if start + chunk > count else int32(start + chunk)
        first = int32(start + uint32(tid) // uint32(width))
        on_picture = int32(uint32(each) // uint32(l)) * c * l
        on_pixel = int32(uint32(each) % uint32(l))
        at = int32(int32(uint32(first) // uint32(l)) * c * l + ch * l)
        p = int32(uint32(first) % uint32(l))
        total = float32(0)
        crossed = float32(0)
        if ch < c:
            missing = float64(0)
            for t in range(cuda.gridDim.y):
                missing += float64(lost[uint32(t * c + ch)])
            centre = mean[uint32(ch)]
            by = rstd[uint32(ch)] * gamma[uint32(ch)]
            plus = float32(beta[uint32(ch)] - missing / count * by)
            for _ in range(first, end, each):
                i = int32(at + p)
                d = x[uint32(i)] - centre
                g = gy[uint32(i)]
                if d * by + plus <= 0:
                    g = g * slope
                total += g
                crossed += g * d
                at = int32(at + on_picture)
                p = int32(p + on_pixel)
                if p >= l:
                    p = int32(p - l)
                    at = int32(at + c * l)
        s[uint32(tid)] = total
        s2[uint32(tid)] = crossed
        cuda.syncthreads()
        step = half
        while step >= width:
            if tid < step:
                s[uint32(tid)] += s[uint32(tid + step)]
                s2[uint32(tid)] += s2[uint32(tid + step)]
            cuda.syncthreads()
            step = step // 2
        if tid < width and ch < c:
            to = int32(cuda.blockIdx.y * 2 * c + ch)
            part[uint32(to)] = s[uint32(tid)]
            part[uint32(to + c)] = s2[uint32(tid)]

    return body


def grad_merge(part, lost, gamma, beta, rstd, ggamma, gbeta, work, count, c, chunk, chunks):
    """A channel's chunks added in their order: ggamma, gbeta, and in `work` what gx is made of: scale, shift, the
    factor of x - mean, and the constant."""
    ch = int32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
    if ch < c:
        missing = float64(0)
        total = float64(0)
        crossed = float64(0)
        for t in range(chunks):
            missing += float64(lost[uint32(t * c + ch)])
            total += float64(part[uint32(t * 2 * c + ch)])
            crossed += float64(part[uint32((t * 2 + 1) * c + ch)])
        low = missing / count
        wide = float64(rstd[uint32(ch)])
        scale = rstd[uint32(ch)] * gamma[uint32(ch)]
        by_gamma = (crossed - low * total) * wide
        across = -scale * wide * by_gamma / count
        ggamma[uint32(ch)] = by_gamma
        gbeta[uint32(ch)] = total
        work[uint32(ch)] = scale
        work[uint32(c + ch)] = beta[uint32(ch)] - low * scale
        work[uint32(2 * c + ch)] = across
        work[uint32(3 * c + ch)] = -scale * total / count - across * low


def grad_input(threads: int) -> Callable[..., None]:
    """gx = scale g + across (x - mean) + constant."""

    def body(gy, x, mean, work, gx, n, c, l, width, chunk, slope):
        tid = int32(cuda.threadIdx.x)
        each = int32(uint32(threads) // uint32(width))
        ch = int32(cuda.blockIdx.x * width + uint32(tid) % uint32(width))
        count = int32(n * l)
        start = int32(cuda.blockIdx.y * chunk)
        end = count if start + chunk > count else int32(start + chunk)
        first = int32(start + uint32(tid) // uint32(width))
        on_picture = int32(uint32(each) // uint32(l)) * c * l
        on_pixel = int32(uint32(each) % uint32(l))
        at = int32(int32(uint32(first) // uint32(l)) * c * l + ch * l)
        p = int32(uint32(first) % uint32(l))
        if ch < c:
            centre, by, plus = mean[uint32(ch)], work[uint32(ch)], work[uint32(c + ch)]
            across, constant = work[uint32(2 * c + ch)], work[uint32(3 * c + ch)]
            for _ in range(first, end, each):
                i = int32(at + p)
                d = x[uint32(i)] - centre
                g = gy[uint32(i)]
                if d * by + plus <= 0:
                    g = g * slope
                gx[uint32(i)] = by * g + (across * d + constant)
                at = int32(at + on_picture)
                p = int32(p + on_pixel)
                if p >= l:
                    p = int32(p - l)
                    at = int32(at + c * l)

    return body
