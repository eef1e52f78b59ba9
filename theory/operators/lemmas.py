"""The closed list of lemmas: what the algebra cannot say. None of them mentions a network, its weights or its data."""

from __future__ import annotations

LEMMAS: dict[str, str] = {
    "L-EXP": (
        "For every square G, E = exp(-tG) exists and is differentiable, E' = -GE, E(0) = I; its inverse is exp(tG), its transpose "
        "exp(-tGᵀ). With F = ∫₀ᵗ exp(-sG) ds: F' = E, F(0) = 0, E = I - GF. For symmetric G both are symmetric."
    ),
    "L-PINV": (
        "Every real matrix has exactly one pseudo-inverse; it is defined by Penrose's four equations. Hence AM = NB and "
        "AᵀN = MBᵀ imply A⁺N = MB⁺."
    ),
    "L-DIM": "For square A and B of one size, AB = I implies BA = I.",
    "L-SQUARE": (
        "AAᵀ ≥ 0 for every real A, and only A = 0 has the square 0; so a sum of positive multiples of such squares and of I "
        "is invertible."
    ),
    "L-SINGULAR": "σ_min(A)‖v‖ ≤ ‖Av‖ ≤ σ_max(A)‖v‖ for every square real A and every vector v.",
    "L-LIMIT": (
        "exp(-tAAᵀ) → I - AA⁺ for t → ∞ and every real A; exp(-tS) → 0 and its integral over time → S⁻¹ for a sum S "
        "of positive multiples of such squares and of I."
    ),
    "L-ZERO": "A differentiable function on an interval with derivative zero is constant.",
    "L-UNIQUE": (
        "A linear differential equation with continuous coefficients has one solution for each start. Hence "
        "GM = MH implies f(G)M = Mf(H) for f(G) = exp(-tG) and for its integral over time, AB = BA implies "
        "exp(A)exp(B) = exp(A + B) and, where AM = BM, f(A)M = f(B)M; and where GᵏM = 0 both f(G)M are the first k terms of their series."
    ),
    "L-CALCULUS": (
        "For symmetric S and every function f on its eigenvalues, f(S) = Σ f(λ) P_λ is well defined, and f → f(S) keeps "
        "sums, products and derivatives in time: an equation between functions of the eigenvalues holds for the matrices. Both "
        "sides being continuous in the eigenvalues and parameters, it holds by continuity where a formula is 0/0."
    ),
    "L-INDUCTION": "What holds at step 0 and passes from each step to the next holds at every step.",
    "L-ENTRY": "A function applied to each entry of a matrix takes equal entries to equal entries.",
    "L-WICK": (
        "For Z with independent N(0, v) entries, E Z_ij Z_kl = v δ_ik δ_jl; the mean of a product of an even number of "
        "entries is the sum over all pairings of the products of the means of the pairs, of an odd number it is 0."
    ),
    "L-DFT": (
        "For every N ≥ 1, ζ = exp(-2πi/N) and F = (ζ^{jk}): F F* = F* F = N I, and F C(a) = diag(Fa) F for the circulant "
        "C(a)_{jk} = a_{j-k mod N}."
    ),
    "L-MEASURE": "The zero set of a linear map that is not zero has Lebesgue measure zero.",
}
