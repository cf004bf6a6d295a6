//! Quantiles of the Beta distribution.
//!
//! The regularised incomplete beta function by its continued fraction (NIST Digital Library of
//! Mathematical Functions 8.17.22, evaluated by Lentz's method), inverted by halving: it rises
//! strictly, so 200 halvings find the nearest double whatever the parameters.

/// The x at which a Beta(a, b) variable lies below x with probability `q`. `a` and `b` must be
/// positive and finite, `q` between 0 and 1.
pub(super) fn quantile(q: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if below(middle, a, b) < q {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability that a Beta(a, b) variable lies below `x`.
fn below(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
            + a * libm::log(x)
            + b * libm::log1p(-x),
    );
    // The fraction converges fast on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let not_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut ratio = 1.0;
    let mut inverse = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut all = inverse;
    let mut term = 1.0;
    while term < 10_000.0 {
        let twice = 2.0 * term;
        let even = term * (b - term) * x / ((a + twice - 1.0) * (a + twice));
        let odd = -(a + term) * (a + b + term) * x / ((a + twice) * (a + twice + 1.0));
        let before = all;
        for step in [even, odd] {
            inverse = 1.0 / not_zero(1.0 + step * inverse);
            ratio = not_zero(1.0 + step / ratio);
            all *= ratio * inverse;
        }
        if (all - before).abs() <= 1e-15 * all.abs() {
            break;
        }
        term += 1.0;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: f64, expect: f64) {
        assert!(
            (value - expect).abs() <= 1e-9 * expect.abs().max(1e-3),
            "{value} {expect}"
        );
    }

    #[test]
    fn quantiles_are_those_of_closed_forms_and_published_tables() {
        for q in [0.05, 0.3, 0.5, 0.95] {
            near(quantile(q, 1.0, 1.0), q);
            near(quantile(q, 3.0, 1.0), libm::pow(q, 1.0 / 3.0));
            near(quantile(q, 1.0, 4.0), 1.0 - libm::pow(1.0 - q, 0.25));
            let arcsine = libm::sin(core::f64::consts::FRAC_PI_2 * q);
            near(quantile(q, 0.5, 0.5), arcsine * arcsine);
            near(quantile(q, 20.5, 7.5), 1.0 - quantile(1.0 - q, 7.5, 20.5));
        }
        // Clopper and Pearson's limits for 5 of 10 at 95 %: 0.1871 to 0.8129.
        assert!((quantile(0.025, 5.0, 6.0) - 0.187_086).abs() < 1e-6);
        assert!((quantile(0.975, 6.0, 5.0) - 0.812_914).abs() < 1e-6);
    }

    #[test]
    fn large_and_lopsided_parameters_end_between_0_and_1() {
        for (a, b) in [(0.5, 0.5), (1e6, 0.5), (0.5, 1e6), (1e6, 2e6)] {
            for q in [0.05, 0.95] {
                let x = quantile(q, a, b);
                assert!((0.0..=1.0).contains(&x), "{a} {b} {q} {x}");
                assert!((below(x, a, b) - q).abs() < 1e-6, "{a} {b} {q} {x}");
            }
        }
    }
}
