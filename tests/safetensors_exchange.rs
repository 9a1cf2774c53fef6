//! Weights go to the Python side and come back.

#[path = "python/venv.rs"]
mod venv;

use std::path::PathBuf;
use tessera::compute::Device;
use tessera::interop::npy;
use tessera::interop::safetensors::{Fit, load, load_module, save_module};
use tessera::nn::{InitRng, Linear, Module, Relu, Sequential};
use tessera::rng::Key;
use tessera::tensor::Tensor;

fn net(seed: u64, device: &Device) -> Sequential {
    let mut rng = InitRng::new(seed);
    Sequential::new()
        .push(Linear::new(5, 7, device, &mut rng).unwrap())
        .push(Relu)
        .push(Linear::new(7, 3, device, &mut rng).unwrap())
}

/// A Python of the user's with torch, or one with `safetensors` alone.
fn python() -> Option<PathBuf> {
    std::env::var_os("TESSERA_TORCH_PYTHON").map(PathBuf::from).or_else(venv::python_with_safetensors)
}

#[test]
fn weights_go_to_torch_names_and_back() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let device = Device::cpu_threads(1);
    let sent = net(1, &device);
    let x = Tensor::normal(0.0, 1.0, [4, 5], Key([1, 1]), &device).unwrap();
    let y = sent.forward(&x).unwrap();
    save_module(&sent, folder.path().join("net.safetensors"), false).unwrap();
    npy::write(folder.path().join("x.npy"), &[4, 5], &x.to_vec::<f32>().unwrap()).unwrap();
    npy::write(folder.path().join("y.npy"), &[4, 3], &y.to_vec::<f32>().unwrap()).unwrap();
    venv::run_script(&python, "exchange_weights.py", folder.path());

    let back = folder.path().join("back.safetensors");
    let received = net(2, &device);
    assert!(load_module(&received, &back, Fit::Exact).unwrap_err().to_string().contains("steps"));
    let report = load_module(&received, &back, Fit::Partial).unwrap();
    assert_eq!((report.loaded, report.unused), (4, vec!["steps".to_owned()]));
    let moved = received.forward(&x).unwrap().sub(&y).unwrap();
    assert!(moved.to_vec::<f32>().unwrap().iter().all(|d| (d - 1.0).abs() < 1e-6));
    let all = load(&back, &device).unwrap();
    let steps = &all.iter().find(|(name, _)| name == "steps").unwrap().1;
    assert_eq!(steps.to_vec::<i32>().unwrap(), [7]);
}
