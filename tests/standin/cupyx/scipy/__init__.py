"""`cupyx.scipy` of the stand-in."""

from . import special as special
