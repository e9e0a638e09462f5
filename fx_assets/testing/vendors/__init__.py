"""Local HTTP servers that speak like vendors do, files as they export them, and what goes wrong.

- ``apis``: Twelve Data, CoinGecko, CryptoCompare and Frankfurter, from bars that are given.
- ``exchanges``: Binance, Coinbase and Kraken, as ccxt asks them.
- ``ecb_server``: the ECB's history and daily file, path by path.
- ``answers``: what each of them can answer instead, and what a server of one's own is made of.
- ``files`` and ``exports``: the tables that MetaTrader, HistData, Dukascopy and others write.
"""
