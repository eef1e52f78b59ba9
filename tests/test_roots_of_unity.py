"""The discrete Fourier transform: exact at given sizes, by a lemma at all, and what that says of a circular convolution."""

import cmath
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from theory.errors import SettingError
from theory.operators import LEMMAS, check_certificate
from theory.roots_of_unity import (
    FALSE_FREQUENCY_CLAIM,
    FREQUENCY_CLAIMS,
    MAX_ORDER,
    CyclotomicMatrix,
    CyclotomicSum,
    RootsOfUnity,
    _powers,
    decide,
    prove_dft,
)

ORDERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 30)


def number(value: CyclotomicSum, letters=()) -> complex:
    """The value as a complex number, with numbers for the letters."""
    zeta = cmath.exp(-2j * math.pi / value.order)
    return sum(
        float(share) * math.prod(letters[j] for j in names) * zeta**power
        for (names, power), share in value.terms.items()
    )


def array(matrix: CyclotomicMatrix, letters=()) -> np.ndarray:
    return np.array([[number(entry, letters) for entry in row] for row in matrix.rows])


@pytest.mark.parametrize("order", ORDERS)
def test_the_transforms_identities_are_proved_at_each_size(order):
    proofs = prove_dft(order)
    assert [proof.verdict for proof in proofs.values()] == ["proved"] * 3
    assert all(proof.order == order for proof in proofs.values())


def test_size_64_is_decided_within_seconds():
    proofs = prove_dft(64)
    assert {proof.verdict for proof in proofs.values()} == {"proved"}
    assert sum(proof.seconds for proof in proofs.values()) < 30


@pytest.mark.parametrize("order", ORDERS)
def test_the_matrices_are_those_of_numpy(order):
    roots, rng = RootsOfUnity(order), np.random.default_rng(0)
    a = rng.standard_normal(order)
    # N additions of numbers of size one, whose powers of ζ are off by about N units in the last place
    tolerance = 1e-15 * order**2
    np.testing.assert_allclose(array(roots.fourier), np.fft.fft(np.eye(order)), rtol=0, atol=tolerance)
    np.testing.assert_allclose(array(roots.spectrum, a), np.diag(np.fft.fft(a)), rtol=0, atol=4 * tolerance)
    x = rng.standard_normal(order)
    circular = np.array([sum(a[m] * x[(n - m) % order] for m in range(order)) for n in range(order)])
    np.testing.assert_allclose(array(roots.circulant, a).real @ x, circular, rtol=0, atol=4 * tolerance)


@pytest.mark.parametrize("order", range(1, 41))
def test_powers_are_reduced_modulo_the_cyclotomic_polynomial(order):
    symbol = sympy.Symbol("x")
    modulus = sympy.Poly(sympy.cyclotomic_poly(order, symbol), symbol)
    for power, row in enumerate(_powers(order)):
        rest = sympy.rem(sympy.Poly(symbol**power, symbol), modulus)
        assert [int(value) for value in reversed(rest.all_coeffs())] == list(row)[: max(rest.degree(), 0) + 1]
        assert not any(row[max(rest.degree(), 0) + 1 :])


@given(st.integers(1, 12), st.data())
def test_a_sum_of_roots_is_0_in_normal_form_exactly_when_it_is_0(order, data):
    divisor = data.draw(st.sampled_from([d for d in range(1, order + 1) if order % d == 0]))
    start = data.draw(st.integers(0, order - 1))
    coset = {((), (start + j * order // divisor) % order): Fraction(2, 3) for j in range(divisor)}
    vanishing = CyclotomicSum(order, coset)  # a full turn adds up to 0, but for one root alone
    assert (vanishing.reduced() == {}) is (divisor > 1)
    shares = data.draw(st.lists(st.integers(-1, 1), min_size=order, max_size=order))
    drawn = CyclotomicSum(order, {((), j): share for j, share in enumerate(shares) if share})
    # The product of its at most 10 conjugates, each at most 12, is an integer: if it is not 0 it is above 12^-9 = 2e-10.
    assert (drawn.reduced() == {}) is (abs(number(drawn)) < 1e-11)


@pytest.mark.parametrize("order", [2, 3, 5, 8, 12])
def test_false_identities_are_refuted_at_an_entry_that_differs(order):
    roots = RootsOfUnity(order)
    f, unit = roots.fourier, roots.identity
    plants = {
        "the scale": (f @ f.H, (order + 1) * unit),
        "the scale squared": (f @ f.H, order**2 * unit),
        "the spectrum on the wrong side": (f @ roots.circulant, f @ roots.spectrum),
        "the origin moved": (roots.circulant, roots.circulant.H),
    }
    if order > 2:
        plants["no conjugate"] = (f @ f, order * unit)
        plants["the inverse transform"] = (f.H @ roots.circulant, roots.spectrum @ f.H)
    else:
        del plants["the origin moved"]
    letters = np.random.default_rng(1).standard_normal(order)
    for name, (left, right) in plants.items():
        proof = decide(left, right)
        assert proof.verdict == "refuted", name
        row, column = proof.entry
        assert abs(array(left, letters)[row, column] - array(right, letters)[row, column]) > 1e-6, name
        assert proof.left != proof.right


def test_what_is_too_large_or_of_two_sizes_is_undecided():
    assert {proof.verdict for proof in prove_dft(MAX_ORDER + 1).values()} == {"undecided"}
    proof = decide(RootsOfUnity(2).identity, RootsOfUnity(3).identity)
    assert (proof.verdict, proof.reason) == ("undecided", "the sizes differ, 2 and 3")
    with pytest.raises(SettingError, match="order"):
        RootsOfUnity(MAX_ORDER + 1)


# The circular convolution


@pytest.mark.parametrize("claim", FREQUENCY_CLAIMS, ids=lambda claim: claim.says[:30])
def test_the_flow_of_a_circular_convolution_is_proved_per_frequency_for_every_size(claim):
    proof = claim.prove()
    assert proof.verdict == "proved"
    assert check_certificate(proof.certificate)
    assert set(claim.lemmas) <= set(LEMMAS)


@pytest.mark.parametrize("claim", FREQUENCY_CLAIMS, ids=lambda claim: claim.says[:30])
def test_the_proofs_hold_for_complex_matrices(claim):
    """Every rule they use is one of conjugate transposes too; the one that is not is left out, and nothing is inverted."""
    used = claim.prove().used
    allowed = (*claim.assume, "E = exp(-t (D.T @ D))", "E = exp(-t (D.T @ D)) is symmetric", "E commutes with D.T @ D")
    assert set(used) <= set(allowed)


def test_the_false_twin_is_refuted():
    assert FALSE_FREQUENCY_CLAIM.prove().verdict == "refuted"


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_the_kernel_of_a_circular_convolution_relaxes_frequency_by_frequency(size):
    """The formula against a solver of the flow of ½‖C(x̂)θ - x̂‖² that knows no transform."""
    rng = np.random.default_rng(size)
    example, start = rng.standard_normal(size), rng.standard_normal(size)
    circulant = np.array([[example[(n - m) % size] for m in range(size)] for n in range(size)])
    time = 0.3
    solved = solve_ivp(
        lambda t, theta: -circulant.T @ (circulant @ theta - example), (0, time), start, rtol=1e-12, atol=1e-13
    )
    transform = 1 + (np.fft.fft(start) - 1) * np.exp(-(np.abs(np.fft.fft(example)) ** 2) * time)
    # The solver's tolerance times its few hundred steps.
    np.testing.assert_allclose(np.fft.fft(solved.y[:, -1]), transform, rtol=0, atol=1e-9)
