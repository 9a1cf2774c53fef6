//! How NEST puts times on its grid of steps: each kind of time in its own way, as measured with NEST 3.10.

/// NEST counts time in thousandths of a millisecond (tics); a step has a whole number of them.
const TICS_PER_MS: f64 = 1000.0;
/// The factor by which NEST turns tics into ms; a division would give other last bits.
const MS_PER_TIC: f64 = 0.001;

/// Tics of a step, if it has a whole number.
fn tics_of(dt: f64) -> Option<f64> {
    let tics = dt * TICS_PER_MS;
    let whole = tics.round();
    (whole >= 1.0 && (tics - whole).abs() < 1e-6).then_some(whole)
}

/// The step at whose end a given spike is sent, counted from 1: the first end at or after its time, as with
/// `spike_generator` and precise times. `None` for times of 0 and before, and beyond all steps.
pub(super) fn spike_step(time: f64, dt: f64) -> Option<u64> {
    if !(time > 0.0 && time / dt < 1e15) {
        return None;
    }
    let step = match tics_of(dt) {
        // The end of the step is compared with the time as real numbers.
        Some(per_step) => {
            let whole = ((time * TICS_PER_MS).floor() / per_step).floor();
            if whole * per_step * MS_PER_TIC < time { whole + 1.0 } else { whole }
        }
        None => (time / dt - 1e-9).ceil(),
    };
    Some((step as u64).max(1))
}

/// A delay in whole steps, at least one: the nearest number, halves upwards.
pub(super) fn delay_steps(delay: f64, dt: f64) -> f64 {
    (delay * (1.0 / dt) + 0.5).floor().max(1.0)
}

/// A refractory time that rounds to the number of steps NEST makes of it: the smallest that is not shorter.
pub(super) fn refractory_time(t_ref: f64, dt: f64) -> f64 {
    let steps = match tics_of(dt) {
        Some(per_step) => ((t_ref * TICS_PER_MS + 0.5).floor() / per_step).ceil(),
        None => (t_ref / dt - 1e-9).ceil().max(0.0),
    };
    if (t_ref / dt).round() == steps { t_ref } else { steps * dt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_go_to_the_end_of_their_step() {
        assert_eq!(spike_step(0.384, 0.1), Some(4));
        assert_eq!(spike_step(0.4, 0.1), Some(4));
        assert_eq!(spike_step(0.3, 0.1), Some(3));
        // The last bits of numbers that programs compute as 7 * 0.1.
        assert_eq!(spike_step(0.700_000_000_000_000_1, 0.1), Some(7));
        assert_eq!(spike_step(0.300_000_1, 0.1), Some(4));
        assert_eq!(spike_step(1e-9, 0.1), Some(1));
        assert_eq!(spike_step(0.25, 0.125), Some(2));
        assert_eq!(spike_step(0.26, 0.0125), Some(21));
        assert_eq!(spike_step(0.0, 0.1), None);
        assert_eq!(spike_step(f64::INFINITY, 0.1), None);
    }

    /// What NEST 3.10 says of connections with these delays.
    #[test]
    fn delays_are_rounded_half_up() {
        let delays = [0.15, 0.25, 0.35, 0.45, 0.55, 1.25, 1.05, 0.65, 2.34, 2.35, 2.36, 0.01];
        let steps = delays.map(|delay| delay_steps(delay, 0.1));
        assert_eq!(steps, [2.0, 3.0, 4.0, 5.0, 6.0, 13.0, 11.0, 7.0, 23.0, 24.0, 24.0, 1.0]);
    }

    /// Intervals between the spikes of driven neurons in NEST 3.10 grow by a step from 1.2 to 1.21 ms, and no more up to
    /// 1.3 ms; from 0 to 0.01 ms too.
    #[test]
    fn refractory_times_are_rounded_up() {
        let steps = |t_ref: f64| (refractory_time(t_ref, 0.1) / 0.1).round();
        assert_eq!(
            [1.2, 1.21, 1.25, 1.29, 1.3, 0.01, 0.0, 3.0].map(steps),
            [12.0, 13.0, 13.0, 13.0, 13.0, 1.0, 0.0, 30.0]
        );
        assert_eq!(refractory_time(3.0, 0.1), 3.0);
    }
}
