"""Real networks on real data: trained by torch, compared with the closed form. Imports torch only where it trains."""
