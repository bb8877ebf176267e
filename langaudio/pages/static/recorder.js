"use strict";
// Hands the samples of the first channel to the page.
class Recorder extends AudioWorkletProcessor {
  process([channels]) {
    if (channels?.[0]) this.port.postMessage(channels[0].slice());
    return true;
  }
}
registerProcessor("recorder", Recorder);
