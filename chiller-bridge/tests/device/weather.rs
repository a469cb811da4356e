//! A site's weather and its nights at the telescope, from a seed: what the air is, and whether the
//! camera is powered.

use std::f64::consts::TAU;

use rig::SeededRandom;

/// See the module. Minutes count from the first of July, noon.
pub(crate) struct Weather {
    chance: SeededRandom,
    /// Clouds and fronts, degrees Celsius: a walk that returns to zero.
    front: f64,
    /// Whether this night is used; drawn at dusk.
    observing: bool,
    /// The camera is power-cycled until this minute.
    cycled_until: u64,
    /// Air at the telescope, degrees Celsius.
    pub(crate) celsius: f64,
    /// Whether the camera is powered.
    pub(crate) camera: bool,
}

impl Weather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: SeededRandom::new(seed ^ 0x5EED),
            front: 0.0,
            observing: false,
            cycled_until: 0,
            celsius: 10.0,
            camera: false,
        }
    }

    /// The weather at this minute; each is to be asked for once.
    #[expect(clippy::cast_precision_loss, reason = "minutes of a year fit a double exactly")]
    pub(crate) fn turn(&mut self, minute: u64) {
        let (days, hours) = (minute as f64 / 1440.0, (minute % 1440) as f64 / 60.0);
        let kick = self.chance.below(2001) as f64 / 1000.0 - 1.0;
        self.front += 0.12 * kick - self.front / 4000.0;
        // 18 °C in July and 2 °C in January, four degrees more at noon and fewer at midnight.
        let season = 10.0 + 8.0 * (TAU * (days - 15.0) / 365.0).cos();
        self.celsius = (season + 4.0 * (TAU * hours / 24.0).cos() + self.front).clamp(-25.0, 38.0);
        if minute % 1440 == 300 {
            self.observing = self.chance.below(10) < 7;
        }
        // Powered from five in the afternoon to seven in the morning, and off and on again at times.
        let night = (300..1140).contains(&(minute % 1440));
        if self.chance.below(400) == 0 {
            self.cycled_until = minute + self.chance.below(8);
        }
        self.camera = night && self.observing && minute >= self.cycled_until;
    }
}
