//! Tiles of images: where they lie, and the coefficients of their windows.

use super::transform::{TILE, WINDOW, gradient_coefficients, window_coefficients};
use crate::compute::cpu::lanes::{Float, Kernel, Vector};
use std::ops::Range;

/// The tiles of a batch of images, numbered image by image and row by row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub images: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Grid {
    /// Tiles that cover `images` images of `height` by `width` pixels.
    pub fn new(images: usize, height: usize, width: usize) -> Self {
        Self { images, rows: height.div_ceil(TILE), columns: width.div_ceil(TILE) }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.images * self.rows * self.columns
    }

    /// Image, first row and first column of a tile, pixels.
    #[inline(always)]
    pub fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (row, column) = (tile / self.columns, tile % self.columns);
        (row / self.rows, row % self.rows * TILE, column * TILE)
    }
}

/// A batch of channels-last images with zeros around them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images<'a, T> {
    /// `[n, height, width, channels]`
    pub data: &'a [T],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Zeros, as many as there are channels.
    pub zeros: &'a [T],
}

impl<T> Images<'_, T> {
    /// Checks once what reading relies on.
    pub fn check(&self, images: usize) {
        assert!(self.data.len() == images * self.height * self.width * self.channels, "elements of the images");
        assert!(self.zeros.len() >= self.channels, "zeros for every channel");
    }

    /// Where the pixels of a window lie, to zeros where there are none.
    #[inline(always)]
    fn window<const N: usize>(&self, image: usize, y: isize, x: isize) -> [[*const T; N]; N] {
        let mut pixels = [[self.zeros.as_ptr(); N]; N];
        for (i, row) in pixels.iter_mut().enumerate() {
            let y = (y + i as isize) as usize;
            if y < self.height {
                let row_start = (image * self.height + y) * self.width;
                for (j, pixel) in row.iter_mut().enumerate() {
                    let x = (x + j as isize) as usize;
                    if x < self.width {
                        *pixel = self.data.as_ptr().wrapping_add((row_start + x) * self.channels);
                    }
                }
            }
        }
        pixels
    }
}

/// What is transformed of each tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The window of six by six pixels that begins this far from the tile's own place.
    Window([isize; 2]),
    /// Its four by four pixels, as gradients of outputs.
    Gradient,
}

/// Computes the coefficients of some tiles.
pub(super) struct Transform<'a, T> {
    pub grid: Grid,
    pub images: Images<'a, T>,
    pub part: Part,
    pub tiles: Range<usize>,
    /// Coefficient `i` of channel `c` of the `t`-th of these tiles goes to `to + i * step + t * row + c`; rows are whole
    /// vectors.
    pub to: *mut T,
    pub step: usize,
    pub row: usize,
}

impl<T: Float> Kernel<T> for Transform<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let channels = self.images.channels;
        let whole = channels - channels % V::LANES;
        let mut to = self.to;
        for tile in self.tiles.clone() {
            let (image, y, x) = self.grid.place(tile);
            // SAFETY: the images have been checked against the grid, all pixels of a window exist or are zeros; whoever
            // made this has room for all coefficients of these tiles.
            unsafe {
                match self.part {
                    Part::Window([dy, dx]) => {
                        let pixels = self.images.window::<WINDOW>(image, y as isize + dy, x as isize + dx);
                        for c in (0..whole).step_by(V::LANES) {
                            window_coefficients::<V, true>(&pixels, c, V::LANES, to.add(c), self.step);
                        }
                        if whole < channels {
                            let count = channels - whole;
                            window_coefficients::<V, false>(&pixels, whole, count, to.add(whole), self.step);
                        }
                    }
                    Part::Gradient => {
                        let pixels = self.images.window::<TILE>(image, y as isize, x as isize);
                        for c in (0..whole).step_by(V::LANES) {
                            gradient_coefficients::<V, true>(&pixels, c, V::LANES, to.add(c), self.step);
                        }
                        if whole < channels {
                            let count = channels - whole;
                            gradient_coefficients::<V, false>(&pixels, whole, count, to.add(whole), self.step);
                        }
                    }
                }
                to = to.wrapping_add(self.row);
            }
        }
    }
}
