//! Exact propagators of linear subthreshold dynamics (Rotter & Diesmann 1999, Biol Cybern 81:381-402).
//!
//! All forms hold without loss of digits also where a synaptic time constant is near or equal to that of the membrane,
//! where the textbook difference of two exponentials cancels.

/// Factor by which a quantity with time constant `tau` decays in `dt` (both ms).
pub(super) fn decay(tau: f64, dt: f64) -> f64 {
    libm::exp(-dt / tau)
}

/// Potential (mV) a constant current of 1 pA adds in `dt`: `tau_m / c_m * (1 - exp(-dt / tau_m))`.
pub(super) fn from_constant_current(tau_m: f64, c_m: f64, dt: f64) -> f64 {
    -tau_m / c_m * libm::expm1(-dt / tau_m)
}

/// Potential (mV) that a current of 1 pA decaying with `tau_syn` adds in `dt`.
///
/// `exp(-dt / tau_m) / c_m * integral_0^dt exp(-a s) ds` with `a = 1 / tau_syn - 1 / tau_m`.
pub(super) fn from_exponential_current(tau_m: f64, tau_syn: f64, c_m: f64, dt: f64) -> f64 {
    let x = dt * rate_difference(tau_m, tau_syn);
    // (1 - exp(-x)) / x, which tends to 1.
    let mean = if x == 0.0 { 1.0 } else { -libm::expm1(-x) / x };
    dt / c_m * decay(tau_m, dt) * mean
}

/// Potential (mV) that a current `s exp(-s / tau_syn)` (pA, `s` in ms from the start of the step) adds in `dt`.
///
/// `exp(-dt / tau_m) / c_m * integral_0^dt s exp(-a s) ds` with `a` as above.
pub(super) fn from_alpha_current(tau_m: f64, tau_syn: f64, c_m: f64, dt: f64) -> f64 {
    dt * dt / c_m * decay(tau_m, dt) * first_moment(dt * rate_difference(tau_m, tau_syn))
}

/// Mean over `dt` of what starts at 1 and decays with `tau` (both ms).
pub(super) fn mean_of_decay(tau: f64, dt: f64) -> f64 {
    -libm::expm1(-dt / tau) * tau / dt
}

/// Mean over `dt` of `s exp(-s / tau)`, ms.
pub(super) fn mean_of_alpha(tau: f64, dt: f64) -> f64 {
    dt * first_moment(dt / tau)
}

/// `integral_0^1 s exp(-x s) ds = (1 - (1 + x) exp(-x)) / x^2`, as a series where the difference would cancel.
fn first_moment(x: f64) -> f64 {
    if x.abs() < 0.5 {
        let (mut sum, mut power) = (0.0, 1.0);
        for n in 0..20 {
            sum += power / f64::from(n + 2);
            power *= -x / f64::from(n + 1);
        }
        sum
    } else {
        (1.0 - (1.0 + x) * libm::exp(-x)) / (x * x)
    }
}

fn rate_difference(tau_m: f64, tau_syn: f64) -> f64 {
    (tau_m - tau_syn) / (tau_m * tau_syn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simpson's rule over `exp(-(dt - s) / tau_m) / c_m * current(s)`.
    fn integrated(tau_m: f64, c_m: f64, dt: f64, current: impl Fn(f64) -> f64) -> f64 {
        let n = 20_000;
        let h = dt / f64::from(n);
        let f = |i: i32| {
            let s = h * f64::from(i);
            libm::exp(-(dt - s) / tau_m) / c_m * current(s)
        };
        let inner: f64 = (1..n).map(|i| f(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (f(0) + inner + f(n)) * h / 3.0
    }

    #[test]
    fn propagators_are_the_integrals_also_at_equal_time_constants() {
        for dt in [0.01, 0.1, 1.0, 20.0] {
            for tau_syn in [0.3, 2.0, 9.0, 9.999_999, 10.0 - 1e-13, 10.0, 10.0 + 1e-13, 10.000_001, 12.0, 80.0] {
                let (tau_m, c_m) = (10.0, 250.0);
                let close = |got: f64, want: f64| {
                    assert!((got / want - 1.0).abs() < 1e-8, "dt {dt}, tau_syn {tau_syn}: {got} instead of {want}");
                };
                let exponential = integrated(tau_m, c_m, dt, |s| libm::exp(-s / tau_syn));
                close(from_exponential_current(tau_m, tau_syn, c_m, dt), exponential);
                let alpha = integrated(tau_m, c_m, dt, |s| s * libm::exp(-s / tau_syn));
                close(from_alpha_current(tau_m, tau_syn, c_m, dt), alpha);
                close(from_constant_current(tau_m, c_m, dt), integrated(tau_m, c_m, dt, |_| 1.0));
                // Without a membrane that forgets, the integral is the mean times the time.
                let forever = 1e15;
                close(mean_of_decay(tau_syn, dt) * dt, integrated(forever, 1.0, dt, |s| libm::exp(-s / tau_syn)));
                close(mean_of_alpha(tau_syn, dt) * dt, integrated(forever, 1.0, dt, |s| s * libm::exp(-s / tau_syn)));
            }
        }
    }

    #[test]
    fn propagators_are_smooth_through_the_singular_point() {
        let at = |tau_syn: f64| {
            (from_exponential_current(10.0, tau_syn, 250.0, 0.1), from_alpha_current(10.0, tau_syn, 250.0, 0.1))
        };
        let equal = at(10.0);
        for offset in [1e-15, 1e-12, 1e-9, -1e-15, -1e-12, -1e-9] {
            let near = at(10.0 + offset);
            assert!((near.0 / equal.0 - 1.0).abs() < 1e-11, "{offset:e}");
            assert!((near.1 / equal.1 - 1.0).abs() < 1e-11, "{offset:e}");
        }
    }
}
