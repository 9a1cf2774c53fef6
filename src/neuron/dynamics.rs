//! The loop that all models share: equations written once for any vector lanes, run over the units of a block.
//!
//! A model gives its equations as a [`Dynamics`] and its constants as a function of the parameter values; this
//! module loads and stores the columns, counts refractory steps and extracts spikes. Work goes in units of 32 neurons,
//! so that all slices of a unit have a fixed length and no bounds check is left in the inner loop.

use super::{Allowed, Block, NeuronModel, Prepare, Stepper};
use crate::compute::Isa;
use crate::compute::simd::{Kernel, Lanes, Real, dispatch};
use crate::error::{Error, Fault, Result};

/// Neurons of a unit.
const UNIT: usize = 32;

/// The equations of a model with `V` state variables, `R` receptors and `C` constants.
pub(super) trait Dynamics<const V: usize, const R: usize, const C: usize>: Send + 'static {
    /// One step of a vector of neurons: the new state, already reset where a neuron spiked, and who spiked.
    ///
    /// `held` marks neurons that are still refractory in this step. Mark the implementation `#[inline(always)]`.
    fn advance<S: Lanes>(
        state: [S; V],
        input: [S; R],
        current: Option<S>,
        constants: &[S; C],
        held: S::Mask,
    ) -> ([S; V], S::Mask);

    /// For one neuron without input: see [`Stepper::unrest`].
    fn unrest(state: [f64; V], constants: &[f64; C]) -> Option<f64> {
        let _ = (state, constants);
        None
    }
}

/// Unrest of a membrane at `v` that decays to `v_rest`, on which currents that fade act with `pull` mV at most in all.
pub(super) fn unrest_of_membrane(v: f64, v_rest: f64, v_th: f64, pull: f64) -> Option<f64> {
    let way = v_th - v_rest;
    let unrest = ((v - v_rest).abs() + pull) / way;
    // Beyond a share of 1 the potential could pass the threshold on its way.
    (way > 0.0 && unrest < 1.0).then_some(unrest)
}

/// What a model derives from the parameter values of one neuron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Derived<const C: usize> {
    /// Constants, computed in double precision.
    pub constants: [f64; C],
    /// Steps a neuron is held after a spike.
    pub refractory: u16,
}

/// Steps of a refractory time, rounded to the grid of steps; `None` beyond the counter's range.
pub(super) fn refractory_steps(t_ref: f64, dt: f64) -> Option<u16> {
    let steps = (t_ref / dt).round();
    (0.0..=f64::from(u16::MAX)).contains(&steps).then_some(steps as u16)
}

/// The fault of a refractory time that the counters cannot hold, if it is one.
pub(super) fn check_refractory(t_ref: f64, dt: f64) -> Option<(&'static str, String)> {
    refractory_steps(t_ref, dt).is_none().then(|| {
        let longest = f64::from(u16::MAX) * dt;
        ("t_ref", format!("{t_ref} ms is {} steps of {dt} ms; allowed are 0 to {longest} ms", (t_ref / dt).round()))
    })
}

/// The fault of a reset that is not below the threshold, if it is one.
pub(super) fn check_reset(v_reset: f64, v_th: f64) -> Option<(&'static str, String)> {
    (v_reset >= v_th).then(|| ("v_reset", format!("{v_reset} mV is not below the threshold v_th = {v_th} mV")))
}

/// Refuses values outside their range and combinations the model rejects, for all neurons of a part.
pub(super) fn validate(model: &dyn NeuronModel, prepare: &Prepare<'_>) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    if !(prepare.dt.is_finite() && prepare.dt > 0.0) {
        faults.push(Fault::new("run.dt", format!("{} ms is not a time step; it must be above 0", prepare.dt)));
        return Err(Error::Invalid(faults));
    }
    let rows = if prepare.params.is_uniform() { prepare.len.min(1) } else { prepare.len };
    for neuron in 0..rows {
        let row = prepare.params.row(neuron);
        let out_of_range = model.parameters().iter().zip(&row).filter(|(p, value)| !p.allowed.contains(**value));
        let mut found: Vec<(&str, String)> =
            out_of_range.map(|(p, value)| (p.name, out_of_range_message(*value, p.unit, p.allowed))).collect();
        if found.is_empty() {
            found = model.check(&row, prepare.dt);
        }
        for (parameter, message) in found {
            let key = format!("population.{}.{parameter}", prepare.population);
            // The first neuron at fault stands for all that share the parameter.
            if faults.iter().all(|f| f.key != key) {
                let whose =
                    if rows > 1 { format!(" (neuron {})", prepare.first as usize + neuron) } else { String::new() };
                faults.push(Fault::new(key, format!("{message}{whose}")));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// How a message states a value outside its range.
pub(super) fn out_of_range_message(value: f64, unit: &str, allowed: Allowed) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    format!("{value}{space}{unit} is out of range; allowed is {}", allowed.describe())
}

/// A value for each neuron, kept once where all agree.
#[derive(Debug)]
struct Column<T> {
    units: Vec<[T; UNIT]>,
    /// Applied to the unit's index: all ones, or zero where one unit stands for all.
    mask: usize,
}

impl<T: Copy + PartialEq> Column<T> {
    /// `values` are those of all neurons of a part.
    fn new(values: &[T]) -> Self {
        let (units, rest) = values.as_chunks::<UNIT>();
        assert!(rest.is_empty(), "a part is a whole number of units");
        if values.windows(2).all(|pair| pair[0] == pair[1]) {
            Self { units: units[..units.len().min(1)].to_vec(), mask: 0 }
        } else {
            Self { units: units.to_vec(), mask: usize::MAX }
        }
    }

    #[inline(always)]
    fn unit(&self, index: usize) -> &[T; UNIT] {
        &self.units[index & self.mask]
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.units)
    }
}

/// The constants of the neurons of a part.
enum Constants<T, const C: usize> {
    /// All neurons have the same: they stay in registers.
    Shared([T; C], u16),
    /// They differ: loaded for each vector.
    PerNeuron([Column<T>; C], Column<u16>),
}

/// [`Dynamics`] with its constants for a part of a population.
struct Part<T, D, const V: usize, const R: usize, const C: usize> {
    constants: Constants<T, C>,
    isa: Isa,
    dynamics: std::marker::PhantomData<fn() -> D>,
}

/// Validates the parameters of a part, derives its constants and joins them with the equations `D`.
pub(super) fn stepper<T: Real, D: Dynamics<V, R, C>, const V: usize, const R: usize, const C: usize>(
    _equations: D,
    model: &dyn NeuronModel,
    prepare: &Prepare<'_>,
    derive: impl Fn(&[f64]) -> Derived<C>,
) -> Result<Box<dyn Stepper<T>>> {
    validate(model, prepare)?;
    let constants = if prepare.params.is_uniform() || prepare.len == 0 {
        let values: Vec<f64> =
            (0..prepare.params.columns.len()).map(|p| prepare.params.uniform(p).unwrap_or_default()).collect();
        let derived = derive(&values);
        Constants::Shared(derived.constants.map(T::of), derived.refractory)
    } else {
        let derived: Vec<Derived<C>> = (0..prepare.len).map(|neuron| derive(&prepare.params.row(neuron))).collect();
        let columns =
            std::array::from_fn(|k| Column::new(&derived.iter().map(|d| T::of(d.constants[k])).collect::<Vec<_>>()));
        Constants::PerNeuron(columns, Column::new(&derived.iter().map(|d| d.refractory).collect::<Vec<_>>()))
    };
    Ok(Box::new(Part::<T, D, V, R, C> { constants, isa: prepare.isa, dynamics: std::marker::PhantomData }))
}

impl<T: Real, D: Dynamics<V, R, C>, const V: usize, const R: usize, const C: usize> Stepper<T> for Part<T, D, V, R, C> {
    fn step(&mut self, block: &mut Block<'_, T>) {
        let len = block.len;
        assert!(len.is_multiple_of(UNIT) && block.offset.is_multiple_of(UNIT), "a block is a whole number of units");
        let columns: &mut [&mut [T]; V] = block.columns.try_into().expect("one column a variable");
        let inputs: &[&[T]; R] = block.inputs.try_into().expect("one input a receptor");
        let sweep = Sweep::<T, D, V, R, C> {
            first: block.offset / UNIT,
            constants: &self.constants,
            columns: columns.each_mut().map(|column| column[..len].as_chunks_mut().0),
            inputs: inputs.map(|input| input[..len].as_chunks().0),
            current: block.current.map(|current| current[..len].as_chunks().0),
            refractory: block.refractory[..len].as_chunks_mut().0,
            spikes: &mut block.spikes[..len / UNIT],
            dynamics: std::marker::PhantomData,
        };
        dispatch(self.isa, sweep);
    }

    fn bytes(&self) -> usize {
        match &self.constants {
            Constants::Shared(..) => 0,
            Constants::PerNeuron(columns, refractory) => {
                columns.iter().map(Column::bytes).sum::<usize>() + refractory.bytes()
            }
        }
    }

    fn rests(&self) -> bool {
        true
    }

    fn unrest(&self, offset: usize, columns: &[&[T]]) -> Option<f64> {
        let columns: &[&[T]; V] = columns.try_into().expect("one column a variable");
        let len = columns.first().map_or(0, |column| column.len());
        (0..len).try_fold(0.0f64, |most, i| {
            let constants = match &self.constants {
                Constants::Shared(constants, _) => constants.map(Real::to_f64),
                Constants::PerNeuron(columns, _) => {
                    columns.each_ref().map(|column| column.unit((offset + i) / UNIT)[(offset + i) % UNIT].to_f64())
                }
            };
            D::unrest(columns.map(|column| column[i].to_f64()), &constants).map(|unrest| most.max(unrest))
        })
    }
}

/// One step of one block. All slices hold one entry a unit: `spikes.len()` of them.
struct Sweep<'a, T, D, const V: usize, const R: usize, const C: usize> {
    /// First unit of the block within the part.
    first: usize,
    constants: &'a Constants<T, C>,
    columns: [&'a mut [[T; UNIT]]; V],
    inputs: [&'a [[T; UNIT]]; R],
    current: Option<&'a [[T; UNIT]]>,
    refractory: &'a mut [[u16; UNIT]],
    spikes: &'a mut [u32],
    dynamics: std::marker::PhantomData<fn() -> D>,
}

impl<T: Real, D: Dynamics<V, R, C>, const V: usize, const R: usize, const C: usize> Kernel<T>
    for Sweep<'_, T, D, V, R, C>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Lanes<Elem = T>>(self) {
        match self.constants {
            Constants::Shared(constants, refractory) => {
                let fetch = Shared { vectors: constants.map(S::splat), refractory: *refractory };
                self.units::<S, _>(fetch);
            }
            Constants::PerNeuron(columns, refractory) => {
                let fetch = PerNeuron { columns, refractory, first: self.first, zero: [T::ZERO; UNIT] };
                self.units::<S, _>(fetch);
            }
        }
    }
}

/// Where the constants come from.
trait Fetch<S, const C: usize> {
    /// What the vectors of one unit are made of.
    type Unit<'u>: Copy
    where
        Self: 'u;
    fn unit(&self, unit: usize) -> Self::Unit<'_>;
    fn vectors(unit: Self::Unit<'_>, lane: usize) -> [S; C];
    fn refractory(&self, unit: usize, neuron: usize) -> u16;
}

struct Shared<S, const C: usize> {
    vectors: [S; C],
    refractory: u16,
}

impl<S: Copy, const C: usize> Fetch<S, C> for Shared<S, C> {
    type Unit<'u>
        = [S; C]
    where
        S: 'u;
    #[inline(always)]
    fn unit(&self, _unit: usize) -> [S; C] {
        self.vectors
    }
    #[inline(always)]
    fn vectors(unit: [S; C], _lane: usize) -> [S; C] {
        unit
    }
    #[inline(always)]
    fn refractory(&self, _unit: usize, _neuron: usize) -> u16 {
        self.refractory
    }
}

struct PerNeuron<'a, T, const C: usize> {
    columns: &'a [Column<T>; C],
    refractory: &'a Column<u16>,
    first: usize,
    zero: [T; UNIT],
}

impl<T: Real, S: Lanes<Elem = T>, const C: usize> Fetch<S, C> for PerNeuron<'_, T, C> {
    type Unit<'u>
        = [&'u [T; UNIT]; C]
    where
        Self: 'u;
    #[inline(always)]
    fn unit(&self, unit: usize) -> [&[T; UNIT]; C] {
        // Not `map`, which the compiler leaves as a call for long arrays.
        let mut units = [&self.zero; C];
        for (place, column) in units.iter_mut().zip(self.columns) {
            *place = column.unit(self.first + unit);
        }
        units
    }
    #[inline(always)]
    fn vectors(unit: [&[T; UNIT]; C], lane: usize) -> [S; C] {
        let mut vectors = [S::splat(T::ZERO); C];
        for (vector, column) in vectors.iter_mut().zip(unit) {
            *vector = S::load(&column[lane..]);
        }
        vectors
    }
    #[inline(always)]
    fn refractory(&self, unit: usize, neuron: usize) -> u16 {
        self.refractory.unit(self.first + unit)[neuron]
    }
}

impl<T: Real, D: Dynamics<V, R, C>, const V: usize, const R: usize, const C: usize> Sweep<'_, T, D, V, R, C> {
    #[inline(always)]
    fn units<S: Lanes<Elem = T>, F: Fetch<S, C>>(self, fetch: F) {
        let Self { columns, inputs, current, refractory, spikes, .. } = self;
        // One comparison of lengths here instead of one for each unit.
        let units = spikes.len();
        let mut columns = columns.map(|column| &mut column[..units]);
        let inputs = inputs.map(|input| &input[..units]);
        let refractory = &mut refractory[..units];
        // Two loops, so that the common one without injected current has no test in it.
        match current {
            None => {
                for unit in 0..units {
                    spikes[unit] = step_unit::<T, S, D, F, V, R, C>(
                        unit,
                        &fetch,
                        &mut columns,
                        &inputs,
                        None,
                        &mut refractory[unit],
                    );
                }
            }
            Some(current) => {
                let current = &current[..units];
                for unit in 0..units {
                    let current = Some(&current[unit]);
                    spikes[unit] = step_unit::<T, S, D, F, V, R, C>(
                        unit,
                        &fetch,
                        &mut columns,
                        &inputs,
                        current,
                        &mut refractory[unit],
                    );
                }
            }
        }
    }
}

/// Steps the 32 neurons of a unit and returns their spikes.
#[inline(always)]
fn step_unit<
    T: Real,
    S: Lanes<Elem = T>,
    D: Dynamics<V, R, C>,
    F: Fetch<S, C>,
    const V: usize,
    const R: usize,
    const C: usize,
>(
    unit: usize,
    fetch: &F,
    columns: &mut [&mut [[T; UNIT]]; V],
    inputs: &[&[[T; UNIT]]; R],
    current: Option<&[T; UNIT]>,
    refractory: &mut [u16; UNIT],
) -> u32 {
    let mut spikes = 0;
    let constants = fetch.unit(unit);
    for lane in (0..UNIT).step_by(S::LANES) {
        let held = S::count_down(&mut refractory[lane..]);
        let mut state = [S::splat(T::ZERO); V];
        for (value, column) in state.iter_mut().zip(columns.iter()) {
            *value = S::load(&column[unit][lane..]);
        }
        let mut input = [S::splat(T::ZERO); R];
        for (value, column) in input.iter_mut().zip(inputs) {
            *value = S::load(&column[unit][lane..]);
        }
        let current = match current {
            Some(current) => Some(S::load(&current[lane..])),
            None => None,
        };
        let (state, spiked) = D::advance(state, input, current, &F::vectors(constants, lane), held);
        for (value, column) in state.iter().zip(columns.iter_mut()) {
            value.store(&mut column[unit][lane..]);
        }
        spikes |= S::bits(spiked) << lane;
    }
    let mut left = spikes;
    while left != 0 {
        let neuron = left.trailing_zeros() as usize;
        refractory[neuron] = fetch.refractory(unit, neuron);
        left &= left - 1;
    }
    spikes
}
