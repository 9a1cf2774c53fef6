//! Pooling layers.

use super::module::Module;
use crate::error::Result;
use crate::tensor::{Tensor, Windows};

macro_rules! max_pool {
    ($($name:ident, $op:literal, $n:literal, $what:literal;)*) => {$(
        #[doc = concat!("The largest element under each window over ", $what)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(
            /// The windows.
            pub Windows<$n>,
        );

        impl $name {
            /// Windows of this size side by side.
            pub fn new(kernel: [usize; $n]) -> Self {
                Self(Windows::new(kernel))
            }
        }

        impl Module for $name {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.max_pool($op, self.0, false)
            }

            fn absorbs_relu(&self) -> bool {
                true
            }

            fn forward_rectified(&self, x: &Tensor) -> Result<Tensor> {
                x.max_pool($op, self.0, true)
            }
        }
    )*};
}
max_pool! {
    MaxPool1d, "max_pool1d", 1, "sequences [n, channels, length].";
    MaxPool2d, "max_pool2d", 2, "images [n, channels, height, width].";
}

macro_rules! avg_pool {
    ($($name:ident, $call:ident, $n:literal, $what:literal;)*) => {$(
        #[doc = concat!("The mean under each window over ", $what)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// The windows.
            pub windows: Windows<$n>,
            /// Whether taps in the padding count as zeros (torch's `count_include_pad`), or not at all.
            pub count_padding: bool,
        }

        impl $name {
            /// Windows of this size side by side.
            pub fn new(kernel: [usize; $n]) -> Self {
                Self { windows: Windows::new(kernel), count_padding: true }
            }
        }

        impl Module for $name {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.$call(self.windows, self.count_padding)
            }
        }
    )*};
}
avg_pool! {
    AvgPool1d, avg_pool1d, 1, "sequences [n, channels, length].";
    AvgPool2d, avg_pool2d, 2, "images [n, channels, height, width].";
}

macro_rules! adaptive {
    ($($name:ident, $call:ident, $n:literal, $what:literal;)*) => {$(
        #[doc = concat!("The mean over equal windows, as many as the result has elements, of ", $what)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(
            /// Size of the result; 1 gives the mean of everything.
            pub [usize; $n],
        );

        impl Module for $name {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.$call(self.0)
            }
        }
    )*};
}
adaptive! {
    AdaptiveAvgPool1d, adaptive_avg_pool1d, 1, "sequences [n, channels, length].";
    AdaptiveAvgPool2d, adaptive_avg_pool2d, 2, "images [n, channels, height, width].";
}
