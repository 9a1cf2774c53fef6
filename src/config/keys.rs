//! Every key of the file: what it takes, its default, and its line of documentation.
//!
//! This table is the only place that lists the keys. Reading takes units, ranges and defaults from it; unknown keys
//! are those it does not name; the JSON Schema and the reference in `docs/config.md` are written from it. Parameters
//! and state variables of neuron models come from the models' own tables.

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// TOML text of the value taken where the key is absent.
    pub(super) default: Option<&'static str>,
    /// Whether the key must be there.
    pub(super) required: bool,
    pub(super) doc: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// A quantity; plain numbers are in this unit.
    Quantity(&'static str, Range),
    /// A quantity in the unit of what the distribution is of.
    InUnit(Range),
    /// A whole number between two bounds.
    Integer(i64, i64),
    Bool,
    Text,
    /// A path, relative to the folder of the configuration file.
    File,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A name of something in the file.
    Name(&'static str),
    /// A name or a list of names.
    Names(&'static str),
    /// A list of so many values.
    List(&'static Kind, usize, usize),
    /// One value, or a list of them.
    OneOrList(&'static Kind, &'static str),
    /// One value for all pairs of populations, a list with one for each source, or a matrix.
    Cells(&'static Kind),
    /// A quantity, or a table that describes a distribution.
    Distribution(&'static str),
    /// A table of its own.
    Table(&'static [Key]),
    /// Several ways to say it.
    Either(&'static [Kind]),
}

/// Numbers a quantity may have, in its default unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    Any,
    Positive,
    NonNegative,
    /// Both ends included.
    Between(f64, f64),
}

impl Range {
    pub(super) fn contains(self, x: f64) -> bool {
        match self {
            Self::Any => !x.is_nan(),
            Self::Positive => x > 0.0,
            Self::NonNegative => x >= 0.0,
            Self::Between(low, high) => (low..=high).contains(&x),
        }
    }

    pub(super) fn describe(self) -> String {
        match self {
            Self::Any => "any number".to_owned(),
            Self::Positive => "above 0".to_owned(),
            Self::NonNegative => "0 or above".to_owned(),
            Self::Between(low, high) => format!("{low} to {high}"),
        }
    }
}

use crate::model::SynapseStorage;
use Kind::{
    Bool, Cells, Choice, Distribution, Either, File, InUnit, Integer, List, Name, Names, OneOrList, Quantity, Text,
};
use Range::{Any, Between, NonNegative, Positive};

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, default: None, required: false, doc }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, default: None, required: true, doc }
}

const fn with(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default: Some(default), required: false, doc }
}

const COUNT: i64 = u32::MAX as i64;

/// Connection rules.
pub(super) const RULES: [&str; 8] =
    ["all_to_all", "one_to_one", "bernoulli", "fixed_indegree", "fixed_outdegree", "fixed_total", "distance", "edges"];

/// Kinds of stimuli.
pub(super) const STIMULI: [&str; 8] =
    ["poisson", "dc", "ac", "steps", "noise", "ornstein_uhlenbeck", "spikes", "matrix"];

/// A table of the file: its name, whether it is one table or one for each name, its keys.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) name: &'static str,
    /// `[neuron.NAME]` rather than `[run]`.
    pub(super) named: bool,
    pub(super) keys: &'static [Key],
    pub(super) doc: &'static str,
}

/// All tables of the file, in the order the reference shows them.
pub(super) const TABLES: [Tables; 12] = [
    Tables { name: "run", named: false, keys: &RUN, doc: "How long, how finely and how the network is simulated." },
    Tables {
        name: "paths",
        named: false,
        keys: &[],
        doc: "Folders that file names can refer to as `${NAME}`. Every key is such a name and takes a text. An \
              environment variable of the same name goes before the file, `--set paths.NAME=...` before both. \
              Relative folders are relative to the folder of the configuration file.",
    },
    Tables { name: "lattice", named: false, keys: &LATTICE, doc: "The 4D lattice, for networks in space." },
    Tables {
        name: "area",
        named: true,
        keys: &AREA,
        doc: "A box of lattice cells with a name. The area `lattice` always exists: the whole lattice.",
    },
    Tables {
        name: "neuron",
        named: true,
        keys: &NEURON,
        doc: "A neuron model with parameter values. Besides these keys, every parameter and option of the model is \
              a key (see the models below).",
    },
    Tables {
        name: "population",
        named: true,
        keys: &POPULATION,
        doc: "Neurons of one kind. Their order in the file numbers the neurons. Exactly one of `n`, `area`, \
              `region`, `coordinates` and `ids` says how many there are. Parameters and options of the model may \
              be given here too and go before those of the `[neuron]` table.",
    },
    Tables {
        name: "projection",
        named: true,
        keys: &PROJECTION,
        doc: "Synapses from one population, or several, to others. With several sources or targets every pair is \
              connected by a projection of its own, named `NAME.source.target`.",
    },
    Tables { name: "stimulus", named: true, keys: &STIMULUS, doc: "Something done to neurons from outside." },
    Tables {
        name: "record",
        named: true,
        keys: &RECORD,
        doc: "What is recorded. A file without any `[record]` table records the spikes of all populations.",
    },
    Tables { name: "output", named: false, keys: &OUTPUT, doc: "Where results go." },
    Tables {
        name: "checkpoint",
        named: false,
        keys: &CHECKPOINT,
        doc: "When the state of the run is written to `checkpoints/` among the results, so that `tessera resume` can go \
              on from there with the same results. Without this table none is written.",
    },
    Tables {
        name: "inactive",
        named: false,
        keys: &INACTIVE,
        doc: "What is done about neurons at rest: blocks of them that nothing acts on and whose state no longer changes \
              are skipped, and their memory is compressed after a while. No spike changes (but with a `tolerance`). \
              Without this table every neuron is stepped.",
    },
];

pub(super) const RUN: [Key; 10] = [
    with("duration", Quantity("ms", NonNegative), "\"1 s\"", "Biological time to simulate."),
    with("dt", Quantity("ms", Positive), "\"0.1 ms\"", "Time step. Delays and spike times are multiples of it."),
    with(
        "seed",
        Integer(0, i64::MAX),
        "1",
        "Seed of all random draws. The same seed gives the same network and the same spikes on every machine and \
         with any number of threads.",
    ),
    key("threads", Integer(1, 4096), "Threads; one for each core where absent. Results do not depend on it."),
    with("precision", Choice(&["f32", "f64"]), "\"f32\"", "Floating-point numbers of the neurons' state."),
    key(
        "isa",
        Choice(&crate::compute::Isa::NAMES),
        "Instruction set; the best one of the machine where absent. Results do not depend on it.",
    ),
    with(
        "weight_bits",
        Choice(&["auto", "16", "32"]),
        "\"auto\"",
        "Bits a stored weight has. `auto` takes 16 where the weights allow it.",
    ),
    key(
        "partition",
        Choice(&crate::engine::CutStrategy::NAMES),
        "How neurons are dealt to the parts of the network that threads own: `zorder` (what is taken where absent) in \
         runs of the numbering, along the Z-order curve on a lattice, of the same expected cost; `blocks` in boxes along \
         the longest axis; `random` in random order, to compare with. Results do not depend on it.",
    ),
    key(
        "shards",
        Integer(1, crate::engine::MOST_SHARDS as i64),
        "Number of such parts; one for each thread where absent, or a multiple where parts would be very large. Results \
         do not depend on it.",
    ),
    key(
        "rebalance",
        Quantity("", Between(0.01, 100.0)),
        "Cuts the network anew during the run, by measured load, where the busiest thread works longer than the mean by \
         more than this (0.1: a tenth) and the rest of the run is long enough to win the time back; never where absent. \
         Results do not depend on it.",
    ),
];

pub(super) const LATTICE: [Key; 3] = [
    required("shape", List(&Integer(1, 65_536), 4, 4), "Cells along x, y, z and w."),
    with(
        "spacing",
        OneOrList(&Quantity("um", Positive), "axis"),
        "\"1 um\"",
        "Distance between neighbouring cells: one for all axes or one for each of the four.",
    ),
    with(
        "periodic",
        OneOrList(&Bool, "axis"),
        "false",
        "Whether axes close on themselves: one value for all axes or one for each of the four.",
    ),
];

const AXIS_RANGE: Kind = List(&Integer(0, 65_536), 2, 2);

pub(super) const AREA: [Key; 4] = [
    key("x", AXIS_RANGE, "First cell and one past the last cell along x; the whole axis where absent."),
    key("y", AXIS_RANGE, "The same along y."),
    key("z", AXIS_RANGE, "The same along z."),
    key("w", AXIS_RANGE, "The same along w."),
];

pub(super) const NEURON: [Key; 2] = [
    required("model", Name("neuron model"), "The neuron model."),
    key(
        "initial",
        Kind::Table(&[]),
        "Initial values of state variables: a table of variable names, each with a quantity or a distribution. \
         Variables that are not named start where the model says.",
    ),
];

pub(super) const POPULATION: [Key; 9] = [
    required(
        "neuron",
        Name("[neuron] table or neuron model"),
        "Which neurons: a `[neuron]` table, or a neuron model with its default parameters.",
    ),
    key("n", Integer(1, COUNT), "Number of neurons, without positions."),
    key("area", Name("area"), "Neurons on every cell of this area, numbered along the Z-order curve."),
    key("region", Kind::Table(&AREA), "The same on a box of cells that has no name."),
    with("density", Quantity("", Positive), "1", "Neurons on each cell of the area or region, on average."),
    key(
        "coordinates",
        File,
        "One neuron at each position of a table with the columns x, y, z, w (um): values between commas or white \
         space, with or without a header; absent columns are 0.",
    ),
    key(
        "ids",
        Kind::Table(&IDS),
        "One neuron for each row of a table; edge lists and tables then name neurons by these ids.",
    ),
    key("initial", Kind::Table(&[]), "Initial values that go before those of the `[neuron]` table."),
    key("file", File, "Spikes of a `spike_train` population: a table of times (ms) and neurons."),
];

pub(super) const IDS: [Key; 2] = [
    required("file", File, "A table with a header, comma-separated or white space between values."),
    key(
        "column",
        Either(&[Text, Integer(1, 65_536)]),
        "Column of the ids: its name or number; the first where absent.",
    ),
];

const PROBABILITY: Kind = Quantity("", Between(0.0, 1.0));
const DELAY: Kind = Either(&[Distribution("ms"), Kind::Table(&DISTANCE_DELAY)]);
const WEIGHT: Kind = Distribution("of the target's receptor");
const NUMBER: Kind = Integer(0, i64::MAX);

pub(super) const PROJECTION: [Key; 20] = [
    key("source", Names("population"), "Population that sends, or a list of them."),
    key("target", Names("population"), "Population that receives, or a list of them."),
    key("populations", Names("population"), "Short for the same list as `source` and as `target`."),
    required("rule", Choice(&RULES), "Which neurons are connected."),
    key(
        "p",
        Cells(&PROBABILITY),
        "`bernoulli`: probability of each pair. `distance`: probability at distance zero. `fixed_total`: probability \
         that a pair is connected at least once, from which the number of synapses follows as \
         ln(1 - p) / ln(1 - 1 / (N_source N_target)), rounded (Potjans & Diesmann 2014).",
    ),
    key(
        "n",
        Cells(&NUMBER),
        "`fixed_indegree`: synapses of each target. `fixed_outdegree`: synapses of each source. `fixed_total`: \
         synapses in all.",
    ),
    with(
        "kernel",
        Choice(&["gaussian", "exponential", "linear", "box"]),
        "\"gaussian\"",
        "`distance`: shape of the decay.",
    ),
    key(
        "extent",
        Quantity("um", Positive),
        "`distance`: sigma of the gaussian, decay length of the exponential, zero of the linear kernel, radius of the \
         box.",
    ),
    key(
        "cutoff",
        Quantity("um", Positive),
        "`distance`: largest distance connected. Where absent: 3 extents (gaussian), 5 (exponential), 1 (linear, box).",
    ),
    with(
        "scale",
        OneOrList(&Quantity("", Positive), "axis"),
        "1",
        "`distance`: divisor of the displacement along each axis: one for all axes or one for each of the four.",
    ),
    with("hop_w", PROBABILITY, "1", "`distance`: factor on the probability for each cell of difference along w."),
    key(
        "file",
        File,
        "`edges`: the synapses, one a row: source, target, weight (optional), delay in ms (optional); .npy with 2 to \
         4 columns, .npz with arrays of these names or a sparse matrix of SciPy (rows are sources), or text with or \
         without a header.",
    ),
    key(
        "weight",
        Cells(&WEIGHT),
        "Weight of the synapses, in the unit of the target's receptor: pA, nS or mV. With `edges` that bring weights: \
         what a weight of 1 in the file stands for.",
    ),
    key("delay", Cells(&DELAY), "Delay of the synapses, rounded to the time step, at least one step."),
    key("receptor", Text, "Receptor of the target; where absent the sign of the weight decides."),
    with("autapses", Bool, "true", "Whether a neuron may connect to itself."),
    with("multapses", Bool, "true", "Whether a pair may be connected more than once."),
    with(
        "storage",
        Choice(&SynapseStorage::NAMES),
        "\"stored\"",
        "Where synapses are between spikes. `stored`: in memory. `procedural`: nowhere; those of a source are drawn again, \
         the same, whenever it spikes, which takes next to no memory and several times as long. Not with \
         `fixed_indegree` and `edges`. Results do not depend on it (see procedural.md).",
    ),
    key("except", List(&Kind::Table(&EXCEPTION), 0, 65_536), "Pairs of populations for which other values hold."),
    with("enabled", Bool, "true", "Whether the table counts; `false` leaves it out of the network."),
];

pub(super) const EXCEPTION: [Key; 7] = [
    required("source", Names("population"), "Sources of the pairs meant."),
    required("target", Names("population"), "Targets of the pairs meant."),
    key("p", PROBABILITY, "As in the projection."),
    key("n", NUMBER, "As in the projection."),
    key("weight", WEIGHT, "As in the projection."),
    key("delay", DELAY, "As in the projection."),
    key("receptor", Text, "As in the projection."),
];

pub(super) const DISTANCE_DELAY: [Key; 2] = [
    required(
        "velocity",
        Quantity("um/ms", Positive),
        "Conduction velocity; the delay is offset + distance / velocity.",
    ),
    with("offset", Quantity("ms", NonNegative), "0", "Delay at distance zero."),
];

pub(super) const DISTRIBUTION: [Key; 9] = [
    key("dist", Choice(&["normal", "lognormal", "uniform"]), "Shape of the distribution."),
    key("mean", InUnit(Any), "`normal`, `lognormal`: mean (of the quantity itself)."),
    key("sd", InUnit(NonNegative), "`normal`, `lognormal`: standard deviation; \"10 %\" is a tenth of the mean."),
    key("min", InUnit(Any), "`normal`: values below are drawn again."),
    key("max", InUnit(Any), "`normal`: values above are drawn again."),
    key("low", InUnit(Any), "`uniform`: lower end."),
    key("high", InUnit(Any), "`uniform`: upper end."),
    key("file", File, "Instead of `dist`: one value for each neuron, from a text table or an .npy file."),
    key(
        "column",
        Either(&[Text, Integer(1, 65_536)]),
        "Column of the file: its name or number; the first where absent.",
    ),
];

pub(super) const STIMULUS: [Key; 23] = [
    required("kind", Choice(&STIMULI), "What is done."),
    required("target", Names("population"), "Population that is stimulated, or a list of them."),
    key("area", Name("area"), "Only neurons in this area."),
    key("neurons", NEURONS, "Only these neurons of each target."),
    key("select", Kind::Table(&SELECT), "Only neurons that a table names."),
    key(
        "rate",
        OneOrList(&Quantity("Hz", NonNegative), "target"),
        "`poisson`: rate for each neuron; one, or one for each target.",
    ),
    key(
        "amplitude",
        OneOrList(&Quantity("pA", Any), "target"),
        "`dc`, `ac`: amplitude of the current; one, or one for each target.",
    ),
    key(
        "mean",
        OneOrList(&Quantity("pA", Any), "target"),
        "`noise`, `ornstein_uhlenbeck`: mean of the current; one, or one for each target.",
    ),
    with(
        "scale",
        OneOrList(&Quantity("", Any), "target"),
        "1",
        "`steps`, `matrix`: factor on the currents; one, or one for each target.",
    ),
    key("weight", Quantity("of the target's receptor", Any), "`poisson`, `spikes`: weight of each event."),
    key("receptor", Text, "`poisson`, `spikes`: receptor; where absent the sign of the weight decides."),
    key("frequency", Quantity("Hz", Positive), "`ac`: frequency."),
    with("phase", Quantity("deg", Any), "0", "`ac`: phase at time 0."),
    with("offset", Quantity("pA", Any), "0", "`ac`: constant part of the current."),
    key(
        "times",
        List(&Quantity("ms", NonNegative), 1, usize::MAX),
        "`steps`: times at which the current changes, ascending; before the first it is zero.",
    ),
    key("amplitudes", List(&Quantity("pA", Any), 1, usize::MAX), "`steps`: the currents from those times on."),
    key("sd", Quantity("pA", NonNegative), "`noise`, `ornstein_uhlenbeck`: standard deviation of the current."),
    key(
        "interval",
        Quantity("ms", Positive),
        "`noise`: time between new values. `matrix`: time a row stands for. Where absent: one time step.",
    ),
    key("tau", Quantity("ms", Positive), "`ornstein_uhlenbeck`: correlation time."),
    key(
        "file",
        File,
        "`spikes`: a table of times (ms) and neurons. `matrix`: an .npy file, rows are times and columns neurons, pA.",
    ),
    with("start", Quantity("ms", NonNegative), "0", "Time from which it acts."),
    key("stop", Quantity("ms", NonNegative), "Time from which it no longer acts; the end where absent."),
    with("enabled", Bool, "true", "Whether the table counts; `false` leaves it out of the network."),
];

const NEURONS: Kind = Either(&[Choice(&["all"]), List(&Integer(0, COUNT), 1, usize::MAX), Kind::Table(&NEURON_CHOICE)]);

pub(super) const NEURON_CHOICE: [Key; 3] = [
    key("first", Integer(1, COUNT), "The first so many."),
    key("range", List(&Integer(0, COUNT), 2, 2), "From the first number up to, not including, the second."),
    key("every", Integer(1, COUNT), "Every so manieth, from 0 or from the beginning of `range`."),
];

pub(super) const SELECT: [Key; 4] = [
    required("file", File, "A table with a header. Rows are neurons: by `ids` of the population, otherwise in order."),
    required("column", Either(&[Text, Integer(1, 65_536)]), "Column that decides: its name or number."),
    required("values", OneOrList(&Text, "value"), "Neurons whose column has one of these values are chosen."),
    key("id", Either(&[Text, Integer(1, 65_536)]), "Column of the ids: its name or number; the first where absent."),
];

pub(super) const RECORD: [Key; 10] = [
    required("kind", Choice(&["spikes", "state", "rates"]), "What is recorded."),
    key("populations", Names("population"), "Which populations; all where absent (`state`: required)."),
    key("format", Choice(&FORMATS), "`spikes`: format of the file; that of `[output]` where absent."),
    key("variables", OneOrList(&Text, "variable"), "`state`: state variables."),
    with("neurons", NEURONS, "\"all\"", "`state`: which neurons of each population."),
    with("interval", Quantity("ms", Positive), "\"1 ms\"", "`state`: time between samples, rounded to the time step."),
    with("start", Quantity("ms", NonNegative), "0", "`state`: time of the first sample at the earliest."),
    key("stop", Quantity("ms", NonNegative), "`state`: time from which no sample is taken; the end where absent."),
    with("bin", Quantity("ms", Positive), "\"10 ms\"", "`rates`: width of the bins."),
    with("enabled", Bool, "true", "Whether the table counts."),
];

/// Formats of spike files.
pub(super) const FORMATS: [&str; 3] = ["sonata", "csv", "npy"];

pub(super) const OUTPUT: [Key; 3] = [
    key(
        "dir",
        Text,
        "Folder for results, relative to where the program runs; `results/` and the name of the file where absent.",
    ),
    with("format", Choice(&FORMATS), "\"sonata\"", "Format of spike files: SONATA HDF5, CSV or NPY."),
    with("pictures", Bool, "false", "Whether pictures of the results are drawn when the run ends."),
];

pub(super) const INACTIVE: [Key; 4] = [
    with("after", Quantity("ms", NonNegative), "\"100 ms\"", "Biological time a block rests before it is compressed."),
    with(
        "synapses",
        Bool,
        "true",
        "Whether the outgoing synapses of resting neurons are compressed too, until one of them spikes.",
    ),
    key(
        "tolerance",
        Quantity("", Between(0.0, 1e-2)),
        "Lets blocks that still decay rest when no potential in them can move any more by this share of the way from \
         rest to threshold; the spikes may differ then. For `lif_psc_exp`, `lif_psc_delta` and `lif_euler` without \
         injected current. Where absent every bit of the state has to be at rest, and no spike differs.",
    ),
    with("enabled", Bool, "true", "Whether the table counts."),
];

pub(super) const CHECKPOINT: [Key; 4] = [
    key("every", Quantity("ms", Positive), "Biological time between two checkpoints, counted from the beginning."),
    key(
        "every_wall",
        Quantity("s", Positive),
        "Wall-clock time between two checkpoints; a plain number is in seconds.",
    ),
    with("keep", Integer(1, 1_000_000), "2", "How many of the newest checkpoints are kept."),
    with(
        "on_signal",
        Bool,
        "true",
        "Whether a checkpoint is written before the run ends on SIGINT or SIGTERM, and on SIGUSR1, after which the run \
         goes on.",
    ),
];
