"""Convolution as an implicit matrix product: the columns of im2col exist only as tiles in shared memory.

A block computes `tile.m` x `tile.n` outputs from `tile.k` terms at a time: both operands are read into shared
memory along the axis that is contiguous in theirs, then each thread adds up its `tm` x `tn` products in
registers. `int32` keeps the arithmetic of positions, and the registers it takes, at 32 bits; indices are unsigned,
since Numba wraps negative ones around, which in the inner loop costs more than the products. Two terms a turn
halve what is left of the loop's own work.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import float32, int32, uint32, uint64

from kernels.cuda import cuda
from kernels.cuda.tiles import Tile

FAR = 1 << 28
"""A row outside every picture, whatever is added to it."""

GATHER_TYPES = "void(float32[::1], float32[::1], float32[::1], float32[::1], {}, float32)".format(
    ", ".join(["int32"] * 14)
)
WEIGHT_TYPES = "void(float32[::1], float32[::1], float32[::1], {})".format(", ".join(["int32"] * 14))


def gather(tile: Tile, up: bool) -> Callable[..., None]:
    """Forward: y[n,m,·] = act(bias + sum over c and taps of w[m,c,·] src[n,c,·]), a row of the product a channel
    out, a column a pixel out.

    `up`, the gradient in the input: what an output pixel meets depends on its place modulo the stride, so each
    such phase (blockIdx.z) is a convolution of stride 1 with its own taps of w[c,m,·], read backwards, and no
    product is spent on the zeros between. A pixel no tap reaches gets 0.
    """
    BM, BN, BK, TM, TN = tile
    LDA = BM + 4  # spreads a column over the banks of shared memory
    A_SIZE, B_SIZE = BK * LDA, BK * BN
    ACROSS = BN // TN
    A_EACH, A_STEP = BM * BK // tile.threads, tile.threads // BK
    B_EACH, B_STEP = BN * BK // tile.threads, tile.threads // BN

    def body(src, w, bias, out, n, m, channels, h, wd, kh, kw, oh, ow, sh, sw, ph, pw, biased, slope):
        a = cuda.shared.array(A_SIZE, float32)
        b = cuda.shared.array(B_SIZE, float32)
        k_src = cuda.shared.array(BK, int32)
        k_row = cuda.shared.array(BK, int32)
        k_col = cuda.shared.array(BK, int32)
        k_w = cuda.shared.array(BK, int32)
        acc = cuda.local.array((TM, TN), float32)
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        spot = cuda.local.array(TN, int32)
        tid = int32(cuda.threadIdx.x)
        if up:
            rh = int32(uint32(cuda.blockIdx.z) // uint32(sw))
            rw = int32(uint32(cuda.blockIdx.z) % uint32(sw))
            taps_h = int32(uint32(kh - rh + sh - 1) // uint32(sh))
            taps_w = int32(uint32(kw - rw + sw - 1) // uint32(sw))
            h0 = int32(uint32(rh + sh * ph - ph) % uint32(sh))
            w0 = int32(uint32(rw + sw * pw - pw) % uint32(sw))
            rows = int32(uint32(oh - h0 + sh - 1) // uint32(sh))
            cols = int32(uint32(ow - w0 + sw - 1) // uint32(sw))
            row_of_w = int32(kh * kw)
            top = int32((h0 + ph - rh) // sh)
            left = int32((w0 + pw - rw) // sw)
        else:
            rh, rw, h0, w0 = int32(0), int32(0), int32(0), int32(0)
            taps_h, taps_w, rows, cols = kh, kw, oh, ow
            top, left = int32(-ph), int32(-pw)
        taps = int32(taps_h * taps_w)
        depth = int32(channels * taps)
        if not up:
            row_of_w = depth
        area = int32(rows * cols)
        pixels = int32(n * area)
        m0 = int32(cuda.blockIdx.y * BM)
        q0 = int32(cuda.blockIdx.x * BN)

        # The pixel this thread loads for: the place of its picture, and its first tap's row and column.
        column = int32(tid % BN)
        q = int32(q0 + column)
        row, col, at = int32(-FAR), int32(0), int32(0)
        if q < pixels:
            at = int32(int32(uint32(q) // uint32(area)) * channels * h * wd)
            p = uint32(q) % uint32(area)
            if up:
                row = int32(int32(p // uint32(cols)) + top)
                col = int32(int32(p % uint32(cols)) + left)
            else:
                row = int32(int32(p // uint32(cols)) * sh + top)
                col = int32(int32(p % uint32(cols)) * sw + left)

        for i in range(TM):
            for j in range(TN):
                acc[i, j] = float32(0)
        ty = int32(tid // ACROSS)
        tx = int32(tid % ACROSS)
        ak = int32(tid % BK)
        am = int32(tid // BK)
        bk = int32(tid // BN)

        for k0 in range(0, depth, BK):
            if tid < BK:  # where each of the next terms lies, worked out once for the block
                k = uint32(k0 + tid)
                c = int32(k // uint32(taps))
                tap = k % uint32(taps)
                ta = int32(tap // uint32(taps_w))
                tb = int32(tap % uint32(taps_w))
                k_src[uint32(tid)] = c * h * wd
                if up:
                    k_row[uint32(tid)] = -ta
                    k_col[uint32(tid)] = -tb
                    k_w[uint32(tid)] = (c * m * kh + rh + ta * sh) * kw + rw + tb * sw
                else:
                    k_row[uint32(tid)] = ta
                    k_col[uint32(tid)] = tb
                    k_w[uint32(tid)] = k
                if k >= depth:
                    k_row[uint32(tid)] = -FAR
                    k_w[uint32(tid)] = -1
            cuda.syncthreads()
            from_w = k_w[uint32(ak)]
            for i in range(A_EACH):
                mm = int32(am + i * A_STEP)
                v = float32(0)
                if m0 + mm < m and from_w >= 0:
                    v = w[uint32((m0 + mm) * row_of_w + from_w)]
                a[uint32(ak * LDA + mm)] = v
            for i in range(B_EACH):
                kk = int32(bk + i * B_STEP)
                y = int32(row + k_row[uint32(kk)])
                x = int32(col + k_col[uint32(kk)])
                v = float32(0)
                if y >= 0 and y < h and x >= 0 and x < wd:
                    v = src[uint32(at + k_src[uint32(kk)] + y * wd + x)]
                b[uint32(kk * BN + column)] = v
            cuda.syncthreads()
            for pair in range(0, BK, 2):
                for kk in range(2):
                    for i in range(TM):
                        ra[i] = a[uint64((pair + kk) * LDA + ty * TM + i)]
                    for j in range(TN):
                        rb[j] = b[uint64((pair + kk) * BN + tx + j * ACROSS)]
                    for i in range(TM):
                        for j in range(TN):
                            acc[i, j] += ra[i] * rb[j]

        for j in range(TN):
            q = int32(q0 + tx + j * ACROSS)
            spot[j] = -1
            if q < pixels:
                p = uint32(q) % uint32(area)
                y = int32(p // uint32(cols))
                x = int32(p % uint32(cols))
                if up:
                    y = int32(y * sh + h0)
                    x = int32(x * sw + w0)
                spot[j] = (int32(uint32(q) // uint32(area)) * m * oh + y) * ow + x
        for i in range(TM):
            mm = int32(m0 + ty * TM + i)
            shift = float32(0)
            if biased and mm < m:
                shift = bias[uint32(mm)]
            for j in range(TN):
                if mm < m and spot[j] >= 0:
                    z = acc[i, j] + shift
                    low = z * slope if slope != 0 else float32(0)
                    out[uint32(spot[j] + mm * oh * ow)] = low if z <= 0 else z

    return body


def weight(tile: Tile) -> Callable[..., None]:
    """out[s,m,q] = sum over the pixels of chunk s of gy[n,m,i,j] src[n,c,i sh + k - ph,j sw + l - pw], q = (c,k,l).

    A chunk (blockIdx.z) is `chunk` pixels, a multiple of `tile.k`; `reduce` adds the chunks in their order.
    """
    BM, BN, BK, TM, TN = tile
    LDA, LDB = BM + 4, BN + 4
    A_SIZE, B_SIZE = BK * LDA, BK * LDB
    ACROSS = BN // TN
    A_EACH, B_EACH, STEP = BM * BK // tile.threads, BN * BK // tile.threads, tile.threads // BK

    def body(gy, src, out, n, m, channels, h, wd, kh, kw, oh, ow, sh, sw, ph, pw, chunk):
        a = cuda.shared.array(A_SIZE, float32)
        b = cuda.shared.array(B_SIZE, float32)
        q_src = cuda.shared.array(BN, int32)
        q_row = cuda.shared.array(BN, int32)
        q_col = cuda.shared.array(BN, int32)
        acc = cuda.local.array((TM, TN), float32)
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        tid = int32(cuda.threadIdx.x)
        area = int32(oh * ow)
        pixels = int32(n * area)
        width = int32(channels * kh * kw)
        m0 = int32(cuda.blockIdx.y * BM)
        q0 = int32(cuda.blockIdx.x * BN)
        start = int32(cuda.blockIdx.z * chunk)
        end = pixels if start + chunk > pixels else int32(start + chunk)

        if tid < BN:
            q = uint32(q0 + tid)
            tap = q % uint32(kh * kw)
            q_src[uint32(tid)] = int32(q // uint32(kh * kw)) * h * wd
            q_row[uint32(tid)] = int32(tap // uint32(kw)) - ph
            q_col[uint32(tid)] = int32(tap % uint32(kw)) - pw
            if q >= width:
                q_row[uint32(tid)] = -FAR
        for i in range(TM):
            for j in range(TN):
                acc[i, j] = float32(0)
        ty = int32(tid // ACROSS)
        tx = int32(tid % ACROSS)
        ak = int32(tid % BK)
        line = int32(tid // BK)

        for k0 in range(start, end, BK):
            k = int32(k0 + ak)
            row, col, at, from_gy = int32(-FAR), int32(0), int32(0), int32(0)
            if k < end:
                picture = int32(uint32(k) // uint32(area))
                p = uint32(k) % uint32(area)
                row = int32(int32(p // uint32(ow)) * sh)
                col = int32(int32(p % uint32(ow)) * sw)
                at = int32(picture * channels * h * wd)
                from_gy = int32(picture * m * area + int32(p))
            cuda.syncthreads()
            for i in range(A_EACH):
                mm = int32(line + i * STEP)
                v = float32(0)
                if m0 + mm < m and k < end:
                    v = gy[uint32(from_gy + (m0 + mm) * area)]
                a[uint32(ak * LDA + mm)] = v
            for i in range(B_EACH):
                qq = int32(line + i * STEP)
                y = int32(row + q_row[uint32(qq)])
                x = int32(col + q_col[uint32(qq)])
                v = float32(0)
                if y >= 0 and y < h and x >= 0 and x < wd:
                    v = src[uint32(at + q_src[uint32(qq)] + y * wd + x)]
                b[uint32(ak * LDB + qq)] = v
            cuda.syncthreads()
            for pair in range(0, BK, 2):
                for kk in range(2):
                    for i in range(TM):
                        ra[i] = a[uint64((pair + kk) * LDA + ty * TM + i)]
                    for j in range(TN):
                        rb[j] = b[uint64((pair + kk) * LDB + tx + j * ACROSS)]
                    for i in range(TM):
                        for j in range(TN):
                            acc[i, j] += ra[i] * rb[j]

        for i in range(TM):
            mm = int32(m0 + ty * TM + i)
            for j in range(TN):
                q = int32(q0 + tx + j * ACROSS)
                if mm < m and q < width:
                    out[uint32((cuda.blockIdx.z * m + mm) * width + q)] = acc[i, j]

    return body


REDUCE_TYPES = "void(float32[::1], float32[::1], int32, int32)"


def reduce(part, out, size, chunks):
    """out[i] = sum over s of part[s,i], in the order of s: the same bits whichever block finished first."""
    i = int32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
    if i < size:
        total = float32(0)
        for s in range(chunks):
            total += part[uint32(s * size + i)]
        out[uint32(i)] = total
