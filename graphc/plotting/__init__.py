"""Pictures of functions and of learning, on Matplotlib: axes in, the same axes with a picture on them out.

Nothing here shows a window or writes a file: ``ax.figure.savefig(path)`` and ``plt.show()`` do. Matplotlib is imported
when the first picture is made.
"""

from graphc.plotting.activation import plot_activation
from graphc.plotting.boundary import plot_decision_boundary
from graphc.plotting.fit import plot_fit
from graphc.plotting.losses import plot_losses
from graphc.plotting.surface import plot_surface

__all__ = ["plot_activation", "plot_decision_boundary", "plot_fit", "plot_losses", "plot_surface"]
