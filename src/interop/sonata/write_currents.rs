//! Injected currents as SONATA says them: a constant part, and clamps from a time on for a while.
//!
//! BMTK connects a clamp by a synapse of one step, so what it is to do in a step is said for the step before.

use super::write_spikes::end_of;
use crate::model::{Selection, StimulusKind, StimulusSpec};

/// A constant current for part of the run, on top of the constant part.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clamp {
    /// Current, pA.
    pub(super) amplitude: f64,
    /// First time at which it acts, less one step; ms.
    pub(super) delay: f64,
    /// How long it acts, ms.
    pub(super) duration: f64,
}

/// A current that changes at given times, cut into a constant part and clamps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Current {
    /// What acts from time 0 on, pA. It belongs to the neurons' own constant current: simulators cannot clamp from the
    /// very first step.
    pub(super) constant: f64,
    /// What acts besides, one after the other.
    pub(super) clamps: Vec<Clamp>,
}

impl Current {
    /// The current of a stimulus on one of its targets in a run of `steps` steps of `dt` ms; none if the stimulus is not
    /// a current that is constant in pieces.
    pub(super) fn of(stimulus: &StimulusSpec, level: f64, dt: f64, steps: u64) -> Option<Self> {
        // The same rounding as in the engine.
        let step_of = |time: f64| if time.is_finite() { (time / dt).round().max(0.0) as u64 } else { u64::MAX };
        let changes: Vec<(u64, f64)> = match &stimulus.kind {
            StimulusKind::Dc => vec![(0, level)],
            StimulusKind::Steps { times, amplitudes } => {
                times.iter().zip(amplitudes).map(|(time, amplitude)| (step_of(*time), amplitude * level)).collect()
            }
            _ => return None,
        };
        let active = step_of(stimulus.start)..step_of(stimulus.stop);
        let at = |step: u64| -> f64 {
            let passed = changes.partition_point(|(from, _)| *from <= step);
            if active.contains(&step) && passed > 0 { changes[passed - 1].1 } else { 0.0 }
        };
        let mut edges: Vec<u64> = changes.iter().map(|(from, _)| *from).collect();
        edges.extend([0, active.start, active.end]);
        edges.retain(|step| *step < steps);
        edges.sort_unstable();
        edges.dedup();
        let constant = at(0);
        let mut clamps: Vec<(u64, u64, f64)> = Vec::new();
        for (i, from) in edges.iter().enumerate() {
            let to = edges.get(i + 1).copied().unwrap_or(steps);
            let above = at(*from) - constant;
            match clamps.last_mut() {
                Some(last) if last.2 == above && last.1 == *from => last.1 = to,
                _ if above == 0.0 => {}
                _ => clamps.push((*from, to, above)),
            }
        }
        let clamp = |(from, to, amplitude): (u64, u64, f64)| Clamp {
            amplitude,
            // No clamp begins with the first step: what acts there is the constant part.
            delay: end_of(from - 1, dt),
            duration: end_of(to - from, dt),
        };
        Some(Self { constant, clamps: clamps.into_iter().map(clamp).collect() })
    }
}

/// Adds `current` to the constant currents of chosen neurons.
pub(super) fn add_to(column: &mut crate::neuron::ParamColumn, size: usize, chosen: &Selection, current: f64) {
    use crate::neuron::ParamColumn;
    if current == 0.0 {
        return;
    }
    match (&mut *column, chosen) {
        (ParamColumn::Uniform(value), Selection::All) => *value += current,
        (ParamColumn::PerNeuron(values), Selection::All) => values.iter_mut().for_each(|v| *v += current),
        (_, Selection::Indices(indices)) => {
            let mut values = match column {
                ParamColumn::Uniform(value) => vec![*value; size],
                ParamColumn::PerNeuron(values) => std::mem::take(values),
            };
            indices.iter().for_each(|i| values[*i as usize] += current);
            *column = ParamColumn::PerNeuron(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::ParamColumn;

    fn stimulus(kind: StimulusKind, start: f64, stop: f64) -> StimulusSpec {
        StimulusSpec { name: "s".into(), targets: Vec::new(), kind, start, stop }
    }

    #[test]
    fn a_current_all_the_time_is_a_constant() {
        let current = Current::of(&stimulus(StimulusKind::Dc, 0.0, f64::INFINITY), 376.0, 0.1, 1000).unwrap();
        assert_eq!(current, Current { constant: 376.0, clamps: Vec::new() });
    }

    #[test]
    fn what_changes_is_clamped_relative_to_the_start() {
        let clamp = |amplitude, delay, duration| Clamp { amplitude, delay, duration };
        let dc = Current::of(&stimulus(StimulusKind::Dc, 20.0, 60.0), 5.0, 0.5, 200).unwrap();
        assert_eq!(dc, Current { constant: 0.0, clamps: vec![clamp(5.0, 19.5, 40.0)] });
        let early = Current::of(&stimulus(StimulusKind::Dc, 0.0, 60.0), 5.0, 0.5, 200).unwrap();
        assert_eq!(early, Current { constant: 5.0, clamps: vec![clamp(-5.0, 59.5, 40.0)] });
        let kind = StimulusKind::Steps { times: vec![10.0, 20.0, 30.0], amplitudes: vec![1.0, 1.0, 0.0] };
        let steps = Current::of(&stimulus(kind, 0.0, f64::INFINITY), 2.0, 0.5, 200).unwrap();
        assert_eq!(steps, Current { constant: 0.0, clamps: vec![clamp(2.0, 9.5, 20.0)] });
        let late = Current::of(&stimulus(StimulusKind::Dc, 200.0, f64::INFINITY), 5.0, 0.5, 200).unwrap();
        assert_eq!(late, Current { constant: 0.0, clamps: Vec::new() });
    }

    #[test]
    fn chosen_neurons_get_values_of_their_own() {
        let mut column = ParamColumn::Uniform(1.0);
        add_to(&mut column, 3, &Selection::All, 2.0);
        assert_eq!(column, ParamColumn::Uniform(3.0));
        add_to(&mut column, 3, &Selection::Indices([1].into()), 0.5);
        assert_eq!(column, ParamColumn::PerNeuron(vec![3.0, 3.5, 3.0]));
    }
}
