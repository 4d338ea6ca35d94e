"""Calls of every function of ``keras.ops``, written once and made in jkeras and in Keras alike.

``CALLS`` has, for each name, lists of arguments: ``call(*args, **kwargs)``.
"""

from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(0)


class call(NamedTuple("call", [("args", tuple), ("kwargs", dict)])):
    def __new__(cls, *args: Any, **kwargs: Any):
        return super().__new__(cls, args, kwargs)


def reals(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


X, Y, V = reals(3, 4), reals(3, 4), reals(4)
U = RNG.uniform(-0.9, 0.9, (3, 4)).astype("float32")  # within (-1, 1)
P = RNG.uniform(1.1, 3, (3, 4)).astype("float32")  # above 1
Q = RNG.uniform(1.1, 3, (3, 4)).astype("float32")
I, J = RNG.integers(1, 6, (3, 4)).astype("int32"), RNG.integers(1, 6, (3, 4)).astype("int32")  # noqa: E741
B, C = X > 0, Y > 0
HOLED = np.where(U > 0.3, np.nan, X).astype("float32")
CUBE, SQUARE = reals(2, 3, 4), reals(3, 3)
SYMMETRIC = (SQUARE @ SQUARE.T + 3 * np.eye(3)).astype("float32")
COMPLEX = (X + 1j * Y).astype("complex64")
TRIANGLE = np.tril(SYMMETRIC).astype("float32")
LINE, IMAGE, VOLUME = reals(2, 8, 4), reals(2, 8, 8, 4), reals(2, 5, 5, 5, 2)
COLOURS = RNG.uniform(0, 1, (2, 12, 12, 3)).astype("float32")
PROBABILITIES = RNG.dirichlet(np.ones(5), (2, 3)).astype("float32")
CLASSES = np.eye(5, dtype="float32")[RNG.integers(0, 5, (2, 3))]
LABELS = CLASSES.argmax(-1).astype("int32")
SIGNAL = reals(2, 64)

CALLS: dict[str, list[call]] = {}


def _each(names: str, *calls: call) -> None:
    for name in names.split():
        CALLS.setdefault(name, []).extend(calls)


_each("abs absolute fabs negative sign square ceil floor round trunc conj conjugate ravel", call(X), call(I))
_each("conj conjugate real imag angle isreal view_as_real", call(COMPLEX))
_each("real imag angle isreal fliplr flipud copy ndim size", call(X))
_each("cos cosh sin sinh tan tanh exp exp2 expm1 sinc arctan arcsinh erf erfc deg2rad rad2deg i0 signbit", call(X))
_each("arccos arcsin arctanh erfinv", call(U))
_each("arccosh log log10 log1p log2 sqrt rsqrt cbrt reciprocal", call(P))
_each("sqrt exp log tanh cos", call(I))
_each("isfinite isinf isnan isneginf isposinf nan_to_num", call(np.array([1, np.nan, np.inf, -np.inf], "float32")))
_each("bitwise_invert bitwise_not", call(I))
_each("logical_not", call(B))
_each("nonzero", call(B))
_each("corrcoef", call(X))
_each(
    """relu relu6 selu sigmoid silu swish softplus softsign tanh_shrink hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid
    sparse_plus sparse_sigmoid celu elu gelu leaky_relu squareplus hard_shrink soft_shrink glu softmax log_softmax""",
    call(X),
)
_each("celu elu", call(X, 0.7), call(X, alpha=0.7))
_each("gelu", call(X, False), call(X, approximate=True))
_each("squareplus", call(X, 2))
_each("leaky_relu", call(X, 0.1), call(X, negative_slope=0.4))
_each("hard_shrink soft_shrink", call(X, 0.8))
_each("threshold", call(X, 0.1, -1.0))
_each("softmax log_softmax glu", call(CUBE, axis=-1), call(X, -1))
_each("softmax log_softmax", call(X, axis=0))
_each(
    "add subtract multiply maximum minimum arctan2 fmax fmin logaddexp logaddexp2 hypot nextafter heaviside",
    call(X, Y),
    call(x1=X, x2=V),
)
_each("divide true_divide power mod fmod floor_divide divide_no_nan", call(P, Q), call(P, x2=2.0))
_each("add subtract multiply maximum divide floor_divide mod power", call(I, J), call(I, 2))
_each("add multiply", call([1, 2, 3], [4.0, 5.0, 6.0]), call(X, 2))
_each("divide_no_nan", call(X, np.where(B, 0, Y).astype("float32")))
_each("equal not_equal greater greater_equal less less_equal", call(I, J), call(x1=X, x2=Y))
_each("logical_and logical_or logical_xor", call(B, C), call(x1=B, x2=C))
_each(
    "bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift bitwise_right_shift", call(I, J), call(x=I, y=J)
)
_each("gcd lcm", call(I, J))
_each("ldexp", call(X, J))
_each("allclose isclose", call(X, X + 1e-7), call(X, Y, atol=10.0), call(X, Y, 0.1, 0.1, True))
_each("isin", call(I, J), call(I, J[0], invert=True))
_each("kron inner vdot outer dot", call(V, reals(4)))
_each("dot matmul", call(X, reals(4, 2)))
_each("matmul", call(CUBE, reals(2, 4, 2)), call(x1=np.ones((2, 2), "int8"), x2=np.full((2, 2), 100, "int8")))
_each("tensordot", call(CUBE, reals(3, 4, 2)), call(CUBE, reals(4, 3), axes=1), call(CUBE, reals(4, 3), [[1, 2], [1, 0]]))
_each("cross", call(reals(4, 3), reals(4, 3)), call(reals(3, 4), reals(3, 4), axis=0))
_each("correlate", call(reals(6), reals(3)), call(reals(6), reals(3), "full"), call(reals(6), reals(3), mode="same"))
_each("append", call(X, Y), call(X, Y, 0), call(x1=X, x2=Y, axis=1))
_each("all any", call(B), call(B, 0), call(x=B, axis=1, keepdims=True))
_each(
    """amax amin max min mean median ptp std sum var logsumexp argmax argmin prod nanargmax nanargmin nanmax nanmean nanmedian
    nanmin nanprod nanstd nansum nanvar""",
    call(X),
    call(X, 0),
    call(x=X, axis=1, keepdims=True),
)
_each("sum prod mean max min std var median argmax", call(I), call(I, 1))
_each("sum mean max logsumexp std median", call(CUBE, (0, 2)), call(CUBE, axis=[0, 2], keepdims=True))
_each("nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar nancumsum nancumprod", call(HOLED))
_each("max min", call(X, 0, False, 0.5), call(X, initial=-1.0))
_each("prod", call(I, dtype="float32"))
_each("cumprod cumsum nancumprod nancumsum", call(X), call(X, 1), call(x=I, axis=0, dtype="float32"))
_each("count_nonzero", call(B), call(I - 1, 0), call(x=I - 1, axis=1))
_each("percentile nanpercentile", call(X, 30), call(X, [20, 50], 1), call(x=X, q=75.0, axis=0, method="nearest", keepdims=True))
_each("quantile nanquantile", call(X, 0.3), call(X, [0.2, 0.5], 1), call(x=X, q=0.75, axis=0, method="lower", keepdims=True))
_each("average", call(X), call(X, 1), call(x=X, axis=0, weights=np.array([1, 2, 3], "float32")), call(I, 0))
_each("array", call([1, 2]), call(X, "int32"))
_each("convert_to_tensor", call([1.5, 2]), call(X, "float16"), call(I, dtype="float32"))
_each("ones_like zeros_like", call(X), call(I), call(x=X, dtype="int32"))
_each("full_like", call(X, 3), call(x=I, fill_value=2, dtype="float32"))
_each("flip squeeze", call(reals(3, 1, 4)), call(reals(3, 1, 4), axis=1))
_each("argsort sort", call(X), call(X, 0), call(x=X, axis=1))
_each("expand_dims", call(X, 1), call(x=X, axis=-1), call(X, (0, 2)))
_each("broadcast_to", call(V, (3, 4)), call(x=V, shape=(2, 4)))
_each("reshape", call(X, (4, 3)), call(x=X, newshape=(2, -1)))
_each("diag", call(V), call(SQUARE, 1))
_each("diagflat", call(V, k=-1))
_each("tril triu", call(SQUARE), call(x=CUBE, k=1))
_each("diagonal trace", call(SQUARE), call(CUBE, 1, 1, 2), call(x=CUBE, offset=0, axis1=0, axis2=2))
_each("diff", call(X), call(a=X, n=2, axis=0))
_each("digitize", call(X, np.array([-1, 0, 1], "float32")))
_each("searchsorted", call(np.sort(V), X[0]), call(sorted_sequence=np.sort(V), values=V, side="right"))
_each("bincount", call(I[0]), call(I[0], X[0], 9), call(x=I[1], minlength=8))
_each("histogram", call(SIGNAL[0]), call(V, 4), call(x=SIGNAL[0], bins=5, range=(-1, 1)))
_each("dsplit", call(CUBE, 2))
_each("hsplit", call(X, 2))
_each("vsplit", call(X, 3))
_each("split array_split", call(X, 2, 1), call(x=X, indices_or_sections=3, axis=0))
_each("split", call(X, [1, 2]))
_each("array_split", call(X, 3, axis=1))
_each("unstack", call(X), call(CUBE, axis=1), call(CUBE, 2))
_each("moveaxis", call(CUBE, 0, -1), call(x=CUBE, source=(0, 1), destination=(1, 2)))
_each("swapaxes", call(CUBE, 0, 2), call(x=CUBE, axis1=1, axis2=0))
_each("transpose", call(CUBE), call(CUBE, (1, 2, 0)), call(x=CUBE, axes=(0, 2, 1)))
_each("tile", call(X, 2), call(x=X, repeats=(2, 1)))
_each("repeat", call(X, 2), call(x=X, repeats=3, axis=1))
_each("roll", call(X, 1), call(x=X, shift=2, axis=1))
_each("rot90", call(SQUARE), call(array=CUBE, k=2, axes=(1, 2)))
_each("vander", call(V), call(x=V, N=3, increasing=True))
_each("take", call(X, [0, 2]), call(x=X, indices=np.array([[1, 0], [2, 2]]), axis=0))
_each("take_along_axis", call(X, np.array([0, 5, 3])), call(X, np.argsort(X, 1), 1), call(x=X, indices=np.argsort(X, 0), axis=0))
_each("nan_to_num", call(HOLED, 7.0), call(x=HOLED, nan=1.0, posinf=2.0, neginf=3.0))
_each("kaiser", call(6, 3.0))
_each("bartlett blackman hamming hanning", call(6))
_each("clip", call(X, -0.5, 0.5), call(x=I, x_min=2, x_max=4), call(B, 0, 1))
_each("round", call(X * 100, -1), call(X, decimals=2), call(I * 10 + 3, -1))
_each("cast", call(X, "int32"), call(x=I, dtype="bool"))
_each("saturate_cast", call(X * 300, "uint8"), call(x=I * 100, dtype="int8"), call(X, "float16"))
_each("stop_gradient", call(X), call(variable=X))
_each("concatenate", call([X, Y]), call([X, Y], axis=1), call(xs=[X, I], axis=0))
_each("stack", call([X, Y]), call(x=[X, Y], axis=1))
_each("dstack hstack vstack", call([X, Y]))
_each("meshgrid", call(V, reals(3)), call(V, reals(3), indexing="ij"))
_each("select", call([B, C], [X, Y]), call([B, C], [X, Y], default=3))
_each("where", call(B, X, Y), call(condition=B, x1=X, x2=0.0), call(B))
_each("unravel_index", call(np.array([5, 7]), (3, 4)))
_each("trapezoid", call(X), call(X, dx=0.5, axis=0), call(y=V, x=np.sort(V)))
_each("pad", call(X, 1), call(X, ((1, 0), (0, 2)), "reflect"), call(x=X, pad_width=((1, 1), (0, 0)), constant_values=3))
_each("get_item", call(X, 1), call(x=X, key=(slice(0, 2), 1)))
_each("einsum", call("ij,kj->ik", X, Y), call("ij->j", X))
_each("unique", call(I), call(I, return_inverse=True, return_counts=True), call(x=I, axis=0), call(I, size=7, fill_value=0))
_each("view", call(X, "int32"))
_each("rearrange", call(CUBE, "a b c -> c (a b)"), call(CUBE, "a b (c d) -> d a (b c)", c=2))
_each("arange", call(5), call(1, 7, 2), call(0, 1, 0.25), call(start=2, stop=5, dtype="float32"))
_each("eye tri", call(3), call(3, 4, 1), call(N=3, M=2, k=-1, dtype="int32"))
_each("identity", call(3), call(n=2, dtype="int32"))
_each("ones zeros", call((2, 3)), call(shape=(2,), dtype="int32"))
_each("full", call((2, 3), 7), call(shape=(2,), fill_value=1.5, dtype="float32"))
_each("linspace", call(0.0, 1.0, 5), call(0, 3, num=4, endpoint=False), call(X, Y, 3, axis=1))
_each("logspace", call(0.0, 2.0, 5), call(0, 3, num=4, base=2))
_each("geomspace", call(1.0, 8.0, 4))
_each("vectorize", call(lambda x: x * 2 + 1))

_each("cholesky", call(SYMMETRIC), call(SYMMETRIC, upper=True))
_each("cholesky_inverse", call(TRIANGLE), call(TRIANGLE.T, upper=True))
_each("det inv slogdet logdet matrix_rank lu_factor", call(SYMMETRIC))
_each("eigh", call(SYMMETRIC))
_each("lstsq", call(X.T, reals(4)), call(X.T, reals(4, 2), rcond=0.1))
_each("norm", call(X), call(X, 1, 0), call(x=X, ord=2, axis=1, keepdims=True), call(X, "fro"), call(I), call(CUBE, "nuc", (1, 2)))
_each("pinv", call(X), call(x=X, rcond=0.5))
_each("matrix_rank", call(X, 0.5))
_each("solve", call(SYMMETRIC, reals(3)), call(a=SYMMETRIC, b=reals(3, 2)))
_each("solve_triangular", call(TRIANGLE, reals(3), True), call(TRIANGLE.T, reals(3, 2)))

_each("fft fft2 ifft2", call((X, Y)))
_each("rfft", call(X), call(X, 6))
_each("irfft", call((X, Y)), call((X, Y), fft_length=7))
_each("extract_sequences", call(SIGNAL, 8, 4), call(x=SIGNAL[0], sequence_length=5, sequence_stride=3))
_each("stft", call(SIGNAL, 16, 8, 16), call(SIGNAL, 12, 5, 16, "hamming", False), call(SIGNAL, 8, 4, 16, window=None))
_each(
    "istft", call((reals(2, 9, 9), reals(2, 9, 9)), 16, 8, 16), call((reals(9, 9), reals(9, 9)), 12, 4, 16, 40, "hamming", True)
)
_each("view_as_complex", call(reals(3, 2)))
_each("polar", call(P, X))

_each("top_k", call(X, 2), call(x=X, k=3, sorted=True))
_each("in_top_k", call(np.array([0, 1, 3]), X, 2))
_each(
    "segment_sum segment_prod segment_max segment_min",
    call(X, np.array([0, 0, 2]), 3),
    call(V, np.array([0, 1, 1, 2]), 3, sorted=True),
)
_each("cdist", call(X, reals(5, 4)))
_each("slice", call(X, (1, 0), (2, 3)), call(inputs=X, start_indices=[0, 2], shape=[3, -1]))
_each("slice_update", call(X, (1, 2), np.zeros((2, 2), "float32")))
_each("scatter", call(np.array([[0], [2], [0]]), reals(3, 2), (4, 2)))
for _reduction in (None, "add", "max", "min", "mul"):
    _each("scatter_update", call(X, np.array([[0, 1], [2, 3]]), np.array([5.0, -5.0], "float32"), reduction=_reduction))

_each("one_hot", call(LABELS, 5), call(x=LABELS, num_classes=4, axis=1, dtype="int32"))
_each("multi_hot", call(LABELS, 5), call(LABELS[0], num_classes=5, dtype="int32"))
_each("binary_crossentropy", call(CLASSES, PROBABILITIES), call(CLASSES, PROBABILITIES, from_logits=True))
_each(
    "categorical_crossentropy",
    call(CLASSES, PROBABILITIES),
    call(CLASSES, PROBABILITIES, True),
    call(CLASSES, PROBABILITIES, axis=1),
)
_each(
    "sparse_categorical_crossentropy",
    call(LABELS, PROBABILITIES),
    call(LABELS[..., None], PROBABILITIES, True),
)
_each("moments", call(X, 0), call(x=CUBE, axes=(0, 1), keepdims=True), call(X.astype("float16"), [1]))
_each("batch_normalization", call(X, V, V**2, 1), call(X, V, V**2, -1, V, V, 0.1))
_each("layer_normalization", call(X), call(X, V, V), call(CUBE, reals(3, 4), reals(3, 4), axis=(1, 2), epsilon=0.1))
_each("rms_normalization", call(X), call(X, V, epsilon=0.1), call(X.astype("float16"), axis=0))
_each("normalize", call(X), call(X, 0, 1), call(x=X, axis=1, order=3, epsilon=0.1))
_each("psnr", call(X, Y, 2.0))
_each("conv", call(LINE, reals(3, 4, 2)), call(LINE, reals(3, 4, 2), 2, "same"), call(IMAGE, reals(3, 3, 2, 6), padding="same"))
_each("conv", call(IMAGE.transpose(0, 3, 1, 2), reals(2, 3, 4, 2), data_format="channels_first", dilation_rate=2))
_each("conv", call(VOLUME, reals(2, 2, 2, 2, 3), strides=(1, 2, 2)))
_each("conv_transpose", call(IMAGE, reals(3, 3, 2, 4), 2, "same"), call(LINE, reals(3, 2, 4), strides=2, output_padding=1))
_each("depthwise_conv", call(IMAGE, reals(3, 3, 4, 2)), call(LINE, reals(3, 4, 1), 2, padding="same"))
_each(
    "separable_conv",
    call(IMAGE, reals(3, 3, 4, 2), reals(1, 1, 8, 3)),
    call(LINE, reals(3, 4, 1), reals(1, 4, 2), padding="same"),
)
_each("max_pool average_pool", call(IMAGE, 2, 2), call(LINE, 3, 2, "same"), call(VOLUME, 2, 1))
_each("adaptive_max_pool adaptive_average_pool", call(IMAGE, 3), call(LINE, output_size=5))
_each("depth_to_space", call(IMAGE, 2), call(x=IMAGE, block_size=2, data_format="channels_first"))
_each("space_to_depth", call(IMAGE, 2), call(IMAGE.transpose(0, 3, 1, 2), 4, "channels_first"))
_each("unfold", call(IMAGE, 2), call(IMAGE, (3, 2), 1, 1, 2), call(IMAGE, kernel_size=2, dilation=2))
_each(
    "fold", call(reals(2, 8, 9), 4, 2), call(reals(2, 8, 4), (4, 4), kernel_size=2, stride=2), call(reals(1, 4, 4), 4, 2, 2, 1, 2)
)
_each("dot_product_attention", call(reals(2, 3, 2, 4), reals(2, 5, 2, 4), reals(2, 5, 2, 4)))
_each(
    "dot_product_attention",
    call(reals(2, 3, 4, 4), reals(2, 3, 2, 4), reals(2, 3, 2, 4), reals(2, 4, 3, 3), scale=0.3, is_causal=True),
    call(reals(2, 3, 2, 4), reals(2, 3, 2, 4), reals(2, 3, 2, 4), mask=RNG.uniform(size=(2, 1, 3, 3)) > 0.3),
)
_LOGITS = reals(3, 7, 5)
_each("ctc_loss", call(np.array([[1, 2, 2], [3, 0, 0], [4, 1, 3]]), _LOGITS, np.array([3, 1, 3]), np.array([7, 5, 6])))
_each("ctc_decode", call(_LOGITS, np.array([7, 5, 6])), call(_LOGITS, np.array([7, 5, 6]), merge_repeated=False, mask_index=4))
_each("ctc_decode", call(_LOGITS, np.array([7, 5, 6]), "beam_search", beam_width=4, top_paths=2))

_each(
    "scan",
    call(lambda c, x: (c + x, c * x), np.zeros(4, "float32"), X),
    call(lambda c, x: (c * 2, c), 1.0, length=3, reverse=True),
)
_each("associative_scan", call(lambda a, b: a + b, X), call(lambda a, b: a * b, X, reverse=True, axis=1))
_each("map", call(lambda x: x * x.sum(), X))
_each("vectorized_map", call(lambda x: x * x.sum(), X))
_each("cond", call(True, lambda: 1.0, lambda: 2.0), call(pred=False, true_fn=lambda: X, false_fn=lambda: Y))
_each("switch", call(1, [lambda x, y: x + y, lambda x, y: x - y], X, Y))
_each("fori_loop", call(0, 4, lambda i, x: x + i, 2))
_each("while_loop", call(lambda x: x < 9, lambda x: x * 2, 1), call(lambda i, x: i < 9, lambda i, x: (i + 1, x * 2), (0, 1.0), 3))
_each("jvp", call(lambda x: x**2, (V,), (V,)))

_each(
    "image.resize", call(COLOURS, (6, 5)), call(COLOURS[0], (20, 15), "nearest"), call(COLOURS, (5, 7), "bicubic", antialias=True)
)
_each(
    "image.resize",
    call(COLOURS, (6, 9), crop_to_aspect_ratio=True),
    call(COLOURS, (9, 6), pad_to_aspect_ratio=True, fill_value=2.0),
)
_each("image.resize", call(COLOURS.transpose(0, 3, 1, 2), (6, 5), "lanczos3", data_format="channels_first"))
_each("image.pad_images", call(COLOURS, 1, 2, target_height=16, target_width=15), call(COLOURS[0], 1, 1, 2, 2))
_each("image.crop_images", call(COLOURS, 1, 2, target_height=6, target_width=5), call(COLOURS[0], 1, 1, 2, 2))
_each("image.extract_patches", call(COLOURS, 3), call(COLOURS, (3, 2), 1, padding="same"), call(COLOURS[0], 2, 1, 2))
_each("image.extract_patches_3d", call(VOLUME, 2), call(VOLUME, (2, 1, 3), strides=1))
_each("image.rgb_to_grayscale image.rgb_to_hsv image.hsv_to_rgb", call(COLOURS), call(COLOURS[0]))
_each("image.rgb_to_grayscale", call((COLOURS * 255).astype("uint8")))
_each("image.gaussian_blur", call(COLOURS, (3, 5), (1.0, 0.5), data_format="channels_last"))
_each("image.sobel_edges", call(COLOURS))
_each("image.ssim", call(COLOURS, COLOURS[::-1]), call(COLOURS[0], COLOURS[1], 2.0, 5, 1.0))
_MAPS = np.array([[1, 0.1, 0.5, -0.1, 0.9, 1, 0, 0], [0.8, 0, 1, 0, 1.2, -1, 0, 0]], "float32")
for _fill in ("constant", "wrap"):
    _each("image.affine_transform", call(COLOURS, _MAPS, fill_mode=_fill, fill_value=0.5))
_each("image.affine_transform", call(COLOURS[0], _MAPS[0], "nearest"))
_CORNERS = np.array([[0, 0], [11, 0], [0, 11], [11, 11]], "float32")
_MOVED = _CORNERS + np.array([[1, 0], [0, 1], [2, 0], [0, -1]], "float32")
_each(
    "image.perspective_transform",
    call(COLOURS, np.stack([_CORNERS] * 2), np.stack([_CORNERS, _MOVED])),
    call(COLOURS[0], _CORNERS, _MOVED),
)
_each(
    "image.map_coordinates", call(X, np.array([[0.3, 1.2, 2.6], [0.1, 2.2, 3.4]], "float32"), 1), call(X, U[:2] * 3, 0, "reflect")
)
_each("image.scale_and_translate", call(IMAGE[0], (6, 6, 4), np.array([0.5, 0.8]), np.array([1.0, 0.3]), (0, 1), "linear"))
