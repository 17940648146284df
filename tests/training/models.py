"""Models that several tests learn: a line, and a line between two classes."""

from __future__ import annotations

LINE = """\
X: Input[N, features]
y: Input[N]
w: Param[features] = zeros()
b: Param = 0
prediction: Output = X @ w + b
loss: Output = mse(prediction, y)
"""
LOGISTIC = """\
X: Input[N, features]
y: Input[N]
w: Param[features] = zeros()
b: Param = 0
logits: Output = X @ w + b
loss: Output = mean(binary_cross_entropy_with_logits(logits, y))
probs: Output = sigmoid(logits)
"""
