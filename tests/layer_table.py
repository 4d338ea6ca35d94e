"""The one table of every layer of the catalogue with every argument that matters."""

from rows_attention import ATTENTION
from rows_basic import ACTIVATIONS, BASIC, RESHAPING
from rows_features import FEATURES_AND_IMAGES
from rows_joining import JOINING, NORMALIZATION
from rows_recurrent import RECURRENT, WRAPPING
from rows_space import CONVOLUTION, POOLING

CASES = [*BASIC, *ACTIVATIONS, *RESHAPING, *RECURRENT, *CONVOLUTION, *POOLING, *JOINING, *NORMALIZATION, *ATTENTION, *WRAPPING]
CASES += FEATURES_AND_IMAGES
ONE_OF_A_KIND = list({case.make.what: case for case in reversed(CASES)}.values())  # the first row of each layer
