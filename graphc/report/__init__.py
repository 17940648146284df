"""The step-through report: a model at some points in, one page without a network out."""

from graphc.report.page import Page, page_of

__all__ = ["Page", "page_of"]
