//! Safetensors files: named tensors, as torch and its relatives exchange weights.
//!
//! Parameters keep the names and shapes torch gives them, so `torch_module.load_state_dict(load_file(path))` takes what
//! [`save_module`] wrote, and [`load_module`] takes what `save_file(torch_module.state_dict(), path)` wrote.

use crate::compute::{DType, Device, MAX_RANK};
use crate::error::{Error, Fault, Result, did_you_mean};
use crate::nn::{Module, Param, Slot, State, collect};
use crate::tensor::Tensor;
use ::safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

fn dtype_in_file(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::Bf16 => Dtype::BF16,
        DType::I8 => Dtype::I8,
        DType::I32 => Dtype::I32,
        DType::U8 => Dtype::U8,
    }
}

struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes named tensors. `notes` are free words kept in the header, such as the step of training.
///
/// # Errors
/// The file exists and `overwrite` is false, a name stands twice, or the file cannot be written; an existing file is
/// untouched then.
pub fn save<'t>(
    tensors: impl IntoIterator<Item = (&'t str, &'t Tensor)>,
    notes: &BTreeMap<String, String>,
    path: impl AsRef<Path>,
    overwrite: bool,
) -> Result<()> {
    let path = path.as_ref();
    if path.exists() && !overwrite {
        let message = format!("{} exists; choose another name or allow it to be overwritten", path.display());
        return Err(Error::Usage(message));
    }
    let mut named: BTreeMap<&str, Bytes> = BTreeMap::new();
    for (name, tensor) in tensors {
        let bytes =
            Bytes { dtype: dtype_in_file(tensor.dtype()), shape: tensor.dims().to_vec(), bytes: tensor.to_bytes()? };
        if named.insert(name, bytes).is_some() {
            return Err(Error::invalid(name, "two tensors have this name"));
        }
    }
    let notes: HashMap<String, String> = notes.iter().map(|(key, text)| (key.clone(), text.clone())).collect();
    let bytes = ::safetensors::serialize(named, (!notes.is_empty()).then_some(notes))
        .map_err(|e| Error::format(path, e.to_string()))?;
    let name = path.file_name().ok_or_else(|| Error::Usage(format!("{} is not a file name", path.display())))?;
    let aside = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
    let attempt = || {
        use std::io::Write;
        let mut file = std::fs::File::create(&aside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    attempt().map_err(|e| {
        let _ = std::fs::remove_file(&aside);
        Error::io(path, "write", e)
    })
}

/// Reads all tensors of a file, sorted by name. 64-bit integers become 32-bit ones, truth values bytes.
///
/// # Errors
/// The file cannot be read or is damaged, or tensors have element types or values that cannot be had here; all of them
/// are told.
pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| Error::format(path, format!("not a readable safetensors file: {e}")))?;
    let mut faults = Vec::new();
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        match tensor_of(&view, device) {
            Ok(tensor) => tensors.push((name, tensor)),
            Err(message) => {
                faults.push(Fault { file: Some(path.to_owned()), line: None, key: name, message });
            }
        }
    }
    if !faults.is_empty() {
        faults.sort_by(|a, b| a.key.cmp(&b.key));
        return Err(Error::Invalid(faults));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}

fn tensor_of(view: &TensorView<'_>, device: &Device) -> Result<Tensor, String> {
    let shape = view.shape();
    if shape.len() > MAX_RANK {
        return Err(format!("it has {} axes; at most {MAX_RANK} are supported", shape.len()));
    }
    let said = |e: Error| e.to_string();
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::Bf16,
        Dtype::I8 => DType::I8,
        Dtype::I32 => DType::I32,
        Dtype::U8 | Dtype::BOOL => DType::U8,
        Dtype::I64 => {
            let narrow: Option<Vec<i32>> = view
                .data()
                .chunks_exact(8)
                .map(|b| i32::try_from(i64::from_le_bytes(b.try_into().unwrap_or_default())).ok())
                .collect();
            let narrow = narrow.ok_or("its 64-bit integers do not fit 32 bits")?;
            return Tensor::new(&narrow, shape, device).map_err(said);
        }
        other => return Err(format!("its element type {other:?} is not one of f32, f64, f16, bf16, i8, i32, i64, u8")),
    };
    Tensor::from_bytes(view.data(), dtype, shape, device).map_err(said)
}

/// What [`load_module`] did besides loading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors that were loaded.
    pub loaded: usize,
    /// Tensors of the module that the file does not have; they keep their values.
    pub missing: Vec<String>,
    /// Tensors of the file that the module does not have; they were not used.
    pub unused: Vec<String>,
}

/// Whether a file has to fit a module exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// Every tensor of the module is in the file and the other way round.
    #[default]
    Exact,
    /// What both have is loaded. Shapes must fit all the same.
    Partial,
}

/// Writes the parameters and other state of a module under their dotted names.
///
/// # Errors
/// As [`save`].
pub fn save_module(module: &dyn Module, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
    let tensors = module.named_tensors();
    save(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), &BTreeMap::new(), path, overwrite)
}

enum Target {
    Param(Param),
    State(State),
}

impl Target {
    fn value(&self) -> Tensor {
        match self {
            Self::Param(param) => param.value(),
            Self::State(state) => state.value(),
        }
    }
}

/// Loads parameters and other state of a module by their dotted names. Element types are converted to the module's, the
/// order in memory stays the module's. Nothing is changed unless everything fits.
///
/// # Errors
/// The file cannot be read, or tensors are missing, unknown or of another shape; all of them are told.
pub fn load_module(module: &dyn Module, path: impl AsRef<Path>, fit: Fit) -> Result<LoadReport> {
    let path = path.as_ref();
    let mut targets: Vec<(String, Target)> = Vec::new();
    collect(&|visitor| module.visit(visitor), "", &mut |name, slot| match slot {
        Slot::Param(param) => targets.push((name.to_owned(), Target::Param(param.clone()))),
        Slot::State(state) => targets.push((name.to_owned(), Target::State(state.clone()))),
        Slot::Child(_) => {}
    });
    let device = targets.first().map_or_else(Device::cpu, |(_, target)| target.value().device().clone());
    let mut found: BTreeMap<String, Tensor> = load(path, &device)?.into_iter().collect();
    let mut report = LoadReport::default();
    let mut faults = Vec::new();
    let mut fault = |key: &str, message: String| {
        faults.push(Fault { file: Some(path.to_owned()), line: None, key: key.to_owned(), message });
    };
    let mut ready = Vec::new();
    for (name, target) in &targets {
        let own = target.value();
        match found.remove(name) {
            Some(tensor) if tensor.shape() != own.shape() => {
                fault(name, format!("has shape {}, the module needs {}", tensor.shape(), own.shape()));
            }
            Some(tensor) => ready.push((target, tensor.to_device(own.device())?.to_dtype(own.dtype())?)),
            None => report.missing.push(name.clone()),
        }
    }
    report.unused = found.into_keys().collect();
    if fit == Fit::Exact {
        for name in &report.missing {
            let near = did_you_mean(name, report.unused.iter().map(String::as_str));
            let hint = near.map(|near| format!("; it has `{near}`")).unwrap_or_default();
            fault(name, format!("the module has this tensor, the file does not{hint}"));
        }
        for name in &report.unused {
            fault(name, "the file has this tensor, the module does not".to_owned());
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    for (target, tensor) in &ready {
        match target {
            Target::Param(param) => param.set(tensor)?,
            Target::State(state) => state.set(tensor)?,
        }
    }
    report.loaded = ready.len();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{InitRng, Linear, Relu, Sequential};

    fn net(seed: u64, device: &Device) -> Sequential {
        let mut rng = InitRng::new(seed);
        Sequential::new()
            .push(Linear::new(5, 7, device, &mut rng).unwrap())
            .push(Relu)
            .push(Linear::new(7, 3, device, &mut rng).unwrap())
    }

    fn values(net: &Sequential) -> Vec<(String, Vec<f32>)> {
        net.named_tensors().into_iter().map(|(name, t)| (name, t.to_vec().unwrap())).collect()
    }

    #[test]
    fn modules_come_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let device = Device::cpu_threads(1);
        let (a, b) = (net(1, &device), net(2, &device));
        save_module(&a, &path, false).unwrap();
        assert!(save_module(&b, &path, false).unwrap_err().to_string().contains("exists"));
        assert_eq!(load_module(&b, &path, Fit::Exact).unwrap().loaded, 4);
        assert_eq!(values(&a), values(&b));
        // The weight keeps its order in memory.
        assert_eq!(b.parameters()[0].value().layout().strides(), [1, 7]);
    }

    #[test]
    fn all_that_does_not_fit_is_told_and_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let device = Device::cpu_threads(1);
        let tensors: Vec<(String, Tensor)> = [("0.weights", vec![7, 5]), ("0.bias", vec![8]), ("2.weight", vec![3, 7])]
            .into_iter()
            .map(|(name, dims)| (name.to_owned(), Tensor::zeros(&dims[..], DType::F64, &device).unwrap()))
            .collect();
        save(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new(), &path, false).unwrap();
        let net = net(1, &device);
        let before = values(&net);
        let message = load_module(&net, &path, Fit::Exact).unwrap_err().to_string();
        for part in ["0.weights", "[8]", "[7]", "2.bias", "it has `0.weights`"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(load_module(&net, &path, Fit::Partial).is_err());
        assert_eq!(values(&net), before);
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let device = Device::cpu_threads(1);
        save_module(&net(1, &device), &path, false).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 4, 8, 40, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(load(&path, &device).is_err(), "{cut}");
        }
        for at in 0..whole.len().min(400) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x11;
            std::fs::write(&path, &bytes).unwrap();
            let _ = load(&path, &device);
        }
    }
}
