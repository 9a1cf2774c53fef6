//! Every kind of picture: made in both formats at several sizes, the same bytes each time, and without a fault for
//! input that has next to nothing in it. The folder named by TESSERA_PICTURES, if any, keeps them to be looked at.

use std::path::{Path, PathBuf};
use tessera::plot::{
    Histograms, LatticeActivity, LatticeMap, Picture, Raster, Rates, Scaling, ScalingPoint, Size, Slices, Trace,
    Traces, Window,
};
use tessera::rng::{Key, Purpose, unit};
use tessera::storage::PopulationSpikes;

const SIZES: [(u32, u32); 6] = [(600, 400), (1200, 800), (2400, 1600), (240, 160), (160, 160), (400, 900)];

/// Poisson spikes with a common oscillation; rates differ between neurons.
fn population(name: &str, size: u32, rate_hz: f64, stop_ms: f64) -> PopulationSpikes {
    let key = Key::named(1, Purpose::Poisson, name);
    let mut events = Vec::new();
    for id in 0..size {
        let own = rate_hz * (0.3 + 1.4 * unit(key.words([id, 0, 1, 0])[0]));
        let mut t = 0.0;
        for k in 0.. {
            let words = key.words([id, k, 0, 0]);
            t += -libm::log(unit(words[0])) / (own * 2e-3);
            if t > stop_ms {
                break;
            }
            // Thinned to a rate that swings with a period of 200 ms.
            if unit(words[1]) < 0.5 + 0.4 * libm::sin(t / 200.0 * std::f64::consts::TAU) {
                events.push((t, id));
            }
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    PopulationSpikes {
        name: name.into(),
        size,
        times_ms: events.iter().map(|e| e.0).collect(),
        ids: events.iter().map(|e| e.1).collect(),
    }
}

fn silent(name: &str, size: u32) -> PopulationSpikes {
    PopulationSpikes { name: name.into(), size, ..Default::default() }
}

fn window(start: f64, stop: f64) -> Option<Window> {
    Some(Window::new(start, stop).unwrap())
}

/// Saves a picture, checks both files, and that a second drawing gives the same bytes.
fn check(name: &str, draw: impl Fn(Size) -> Picture) {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("TESSERA_PICTURES").map(PathBuf::from);
    let dir: &Path = kept.as_deref().unwrap_or(temporary.path());
    for (width, height) in SIZES {
        let size = Size::new(width, height).unwrap();
        let picture = draw(size);
        assert_eq!(picture.size(), size);
        let paths = picture.save(dir, &format!("{name}_{width}x{height}")).unwrap();
        let [svg, png] = &paths[..] else { panic!("{paths:?}") };
        let (svg, png) = (std::fs::read_to_string(svg).unwrap(), std::fs::read(png).unwrap());
        assert!(svg.contains(&format!("viewBox=\"0 0 {width} {height}\"")) && svg.ends_with("</svg>\n"));
        let drawn = |line: &&str| !line.starts_with("<image") && !line.contains("<title>");
        let finite = svg.lines().filter(drawn).all(|line| !line.contains("NaN") && !line.contains("\"inf"));
        assert!(finite, "{name}: a coordinate is not finite");
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (width, height));
        if width <= 1200 {
            let again = draw(size);
            assert!(again.to_svg() == svg && again.to_png().unwrap() == png, "{name} differs when drawn again");
        }
    }
}

/// The input that most often breaks pictures.
fn odd_inputs() -> Vec<(&'static str, Vec<PopulationSpikes>)> {
    let one_spike = PopulationSpikes { name: "one".into(), size: 1, times_ms: vec![5.0], ids: vec![0] };
    let unsized_ = PopulationSpikes { name: "size unknown".into(), size: 0, times_ms: vec![1.0, 2.0], ids: vec![3, 9] };
    let many: Vec<PopulationSpikes> = (0..90).map(|i| population(&format!("area {i}"), 20, 5.0, 200.0)).collect();
    vec![
        ("nothing", vec![]),
        ("one_neuron", vec![silent("one", 1)]),
        ("one_spike", vec![one_spike.clone()]),
        ("empty_population", vec![silent("", 0)]),
        ("some_silent", vec![population("exc", 80, 8.0, 500.0), silent("inh", 20), one_spike, unsized_]),
        (
            "unicode",
            vec![
                population("Пирамидные L2/3 α–β «ñandú»", 40, 5.0, 300.0),
                population("海馬CA1\u{1F9E0}\n<&\">", 40, 5.0, 300.0),
                population(&"very long name ".repeat(20), 40, 5.0, 300.0),
            ],
        ),
        ("ninety", many),
    ]
}

fn cortex() -> Vec<PopulationSpikes> {
    [
        ("L2/3 exc", 2068, 0.9),
        ("L2/3 inh", 583, 3.0),
        ("L4 exc", 2191, 4.4),
        ("L4 inh", 548, 5.9),
        ("L5 exc", 485, 7.6),
        ("L5 inh", 106, 8.6),
        ("L6 exc", 1439, 1.1),
        ("L6 inh", 295, 7.8),
    ]
    .map(|(name, size, rate)| population(name, size, rate, 2000.0))
    .to_vec()
}

#[test]
fn rasters() {
    let cortex = cortex();
    check("raster", |size| Raster { size, ..Raster::new(&cortex, window(0.0, 2000.0)) }.picture());
    check("raster_window", |size| Raster { size, ..Raster::new(&cortex[..2], window(1000.0, 1050.0)) }.picture());
    for (name, populations) in odd_inputs() {
        check(&format!("raster_{name}"), |size| Raster { size, ..Raster::new(&populations, None) }.picture());
    }
}

#[test]
fn rates() {
    let cortex = cortex();
    check("rates", |size| Rates { size, ..Rates::new(&cortex, window(0.0, 2000.0)) }.picture().unwrap());
    check("rates_bin", |size| Rates { size, bin_ms: Some(70.0), ..Rates::new(&cortex[..3], None) }.picture().unwrap());
    for (name, populations) in odd_inputs() {
        check(&format!("rates_{name}"), |size| Rates { size, ..Rates::new(&populations, None) }.picture().unwrap());
    }
}

#[test]
fn histograms() {
    let cortex = cortex();
    check("histograms", |size| Histograms { size, ..Histograms::new(&cortex, window(0.0, 2000.0)) }.picture());
    check("histograms_two", |size| Histograms { size, ..Histograms::new(&cortex[2..4], None) }.picture());
    for (name, populations) in odd_inputs() {
        check(&format!("histograms_{name}"), |size| {
            Histograms { size, ..Histograms::new(&populations, None) }.picture()
        });
    }
}

/// A leaky neuron driven over its threshold, in steps of 0.1 ms.
fn traces_of(name: &str, drive: f64) -> Vec<Trace> {
    let times: Vec<f64> = (0..5000).map(|i| f64::from(i) * 0.1).collect();
    let (mut v, mut spikes) = (0.0, Vec::new());
    let values: Vec<f32> = times
        .iter()
        .map(|t| {
            v += (drive - v) * 0.005;
            if v > 15.0 {
                spikes.push(*t);
                v = 0.0;
            }
            (v - 65.0) as f32
        })
        .collect();
    let current: Vec<f32> = times.iter().map(|t| (drive * 10.0 + 40.0 * libm::sin(t / 30.0)) as f32).collect();
    let trace = |variable: &str, unit: &str, values: Vec<f32>, spikes_ms| Trace {
        name: name.into(),
        variable: variable.into(),
        unit: unit.into(),
        times_ms: times.clone(),
        values,
        spikes_ms,
    };
    vec![trace("v_m", "mV", values, spikes), trace("i_syn", "pA", current, Vec::new())]
}

#[test]
fn traces() {
    let traces: Vec<Trace> =
        [("exc 0", 15.5), ("exc 17", 17.0), ("inh 3", 20.0)].iter().flat_map(|(n, d)| traces_of(n, *d)).collect();
    check("traces", |size| Traces { size, ..Traces::new(&traces, None) }.picture().unwrap());
    check("traces_window", |size| {
        Traces { size, ..Traces::new(&traces[..1], window(100.0, 250.0)) }.picture().unwrap()
    });
    let flat = [Trace { times_ms: vec![1.0], values: vec![3.0], ..traces[0].clone() }];
    check("traces_one_sample", |size| Traces { size, ..Traces::new(&flat, None) }.picture().unwrap());
    let gone = [Trace { values: vec![f32::NAN; 5000], ..traces[0].clone() }, Trace::default()];
    check("traces_nan", |size| Traces { size, ..Traces::new(&gone, None) }.picture().unwrap());
    check("traces_nothing", |size| Traces { size, ..Traces::new(&[], None) }.picture().unwrap());
    let many: Vec<Trace> =
        (0..30).map(|i| Trace { variable: format!("x{i}"), unit: String::new(), ..traces[0].clone() }).collect();
    check("traces_many", |size| Traces { size, ..Traces::new(&many, None) }.picture().unwrap());
}

/// A bump of activity whose centre moves with w; in small lattices every seventh cell has no neuron.
fn activity(shape: [u32; 4]) -> LatticeActivity {
    let mut activity = LatticeActivity::new(shape, Window::new(0.0, 1000.0).unwrap()).unwrap();
    for w in 0..shape[3] {
        for z in 0..shape[2] {
            for y in 0..shape[1] {
                for x in 0..shape[0] {
                    let along = |c: u32, n: u32| (f64::from(c) + 0.5) / f64::from(n) - 0.5;
                    let shift = 0.6 * along(w, shape[3]);
                    let (dx, dy) = (along(x, shape[0]) - shift, along(y, shape[1]) - shift * 0.5);
                    let spikes = 40.0 * libm::exp(-12.0 * (dx * dx + dy * dy)) + f64::from((x * 7 + y * 13 + z) % 3);
                    if (x * 5 + y * 3) % 7 != 0 || shape[0] > 100 {
                        activity.add([x, y, z, w], spikes as u32);
                    }
                }
            }
        }
    }
    activity
}

#[test]
fn lattices() {
    for shape in [[4, 4, 1, 1], [1, 1, 1, 1], [16, 16, 4, 4], [100, 3, 1, 5], [3, 60, 2, 2], [20, 20, 1, 40]] {
        let activity = activity(shape);
        let name = format!("lattice_{}", shape.map(|n| n.to_string()).join("x"));
        check(&name, |size| LatticeMap { size, ..LatticeMap::new(&activity) }.picture());
        check(&format!("{name}_each_z"), |size| {
            LatticeMap { size, slices: Slices::EachZ, ..LatticeMap::new(&activity) }.picture()
        });
    }
    let empty = LatticeActivity::new([5, 5, 1, 2], Window::new(0.0, 1.0).unwrap()).unwrap();
    check("lattice_empty", |size| LatticeMap { size, ..LatticeMap::new(&empty) }.picture());
}

#[test]
fn a_lattice_of_thirty_million_cells_is_drawn() {
    let activity = activity([256, 256, 64, 8]);
    let picture = LatticeMap::new(&activity).picture();
    if let Some(dir) = std::env::var_os("TESSERA_PICTURES") {
        picture.save(PathBuf::from(dir), "lattice_256x256x64x8").unwrap();
    }
    assert!(picture.to_png().unwrap().len() > 1000);
    assert!(picture.to_svg().len() < 8_000_000);
}

#[test]
fn scaling() {
    let points: Vec<ScalingPoint> = [1usize, 2, 4, 8, 16, 32]
        .into_iter()
        .map(|threads| {
            let phases: Vec<(String, f64)> =
                [("integrate", 8.0, 0.02), ("deliver", 14.0, 0.1), ("exchange", 0.2, 0.25), ("record", 0.4, 0.02)]
                    .map(|(name, parallel, serial)| (name.to_owned(), parallel / threads as f64 + serial))
                    .to_vec();
            let seconds = phases.iter().map(|p| p.1).sum::<f64>() + 0.3;
            ScalingPoint { threads, seconds, phases }
        })
        .collect();
    check("scaling", |size| Scaling { size, ..Scaling::new(&points) }.picture().unwrap());
    check("scaling_one", |size| Scaling { size, ..Scaling::new(&points[..1]) }.picture().unwrap());
    check("scaling_none", |size| Scaling { size, ..Scaling::new(&[]) }.picture().unwrap());
    let plain: Vec<ScalingPoint> = points.iter().map(|p| ScalingPoint { phases: Vec::new(), ..p.clone() }).collect();
    check("scaling_no_phases", |size| Scaling { size, ..Scaling::new(&plain) }.picture().unwrap());
}

#[test]
fn a_million_spikes_give_a_small_picture() {
    let full = [20_683, 5834, 21_915, 5479, 4850, 1065, 14_395, 2948];
    assert_eq!(full.iter().sum::<u32>(), 77_169);
    let populations: Vec<PopulationSpikes> =
        full.iter().enumerate().map(|(i, n)| population(&format!("P{i}"), *n, 13.0, 1000.0)).collect();
    let spikes: usize = populations.iter().map(|p| p.ids.len()).sum();
    assert!(spikes > 900_000, "{spikes}");
    let picture = Raster::new(&populations, None).picture();
    let svg = picture.to_svg();
    assert!(svg.contains("shown: 1 of ") && svg.len() < 2_000_000, "{} bytes", svg.len());
    let temporary = tempfile::tempdir().unwrap();
    let dir = std::env::var_os("TESSERA_PICTURES").map_or(temporary.path().to_owned(), PathBuf::from);
    picture.save(&dir, "raster_million").unwrap();
    Rates::new(&populations, None).picture().unwrap().save(&dir, "rates_million").unwrap();
    Histograms::new(&populations, None).picture().save(&dir, "histograms_million").unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("taken");
    std::fs::write(&file, "x").unwrap();
    let error = Raster::new(&[], None).picture().save(file.join("plots"), "raster").unwrap_err();
    assert!(error.to_string().contains("taken") && error.to_string().contains("cannot create"), "{error}");
}
