"""Homes as earlier releases left them: a lake, an MLflow store and bundles.

``first_release`` is of 58f47c4, the first commit that ran to predictions; ``november_21`` of
4229877, ``november_28`` of 4719e4a. Each ran ``fx-assets run`` once, on 10 May 2019 of an
artificial EUR/USD.
"""
