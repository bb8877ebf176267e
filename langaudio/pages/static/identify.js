"use strict";
// What the form does without this: send a chosen file. This lets a file be dropped on it, or spoken.
const form = document.getElementById("identify");
const chooser = form.querySelector("input[type=file]");
const status = document.getElementById("identify-status");
const button = document.getElementById("record");
const LONGEST_S = 60;
const TOLD_EVERY_S = 5;

form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  if (event.dataTransfer.files.length) send(event.dataTransfer.files);
});
form.addEventListener("submit", () => {
  status.textContent = "Listening …";
});

function send(files) {
  chooser.files = files;
  form.requestSubmit();
}

if (navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode) {
  button.hidden = false;
  let recording = null;
  button.addEventListener("click", async () => {
    if (recording) {
      const wav = await recording.stop();
      recording = null;
      button.textContent = "Record";
      const files = new DataTransfer();
      files.items.add(new File([wav], "spoken.wav", { type: "audio/wav" }));
      send(files.files);
      return;
    }
    try {
      recording = await record((seconds) => {
        status.textContent = `Recording: ${seconds} s of at most ${LONGEST_S} s …`;
      });
      button.textContent = "Stop and identify";
      status.textContent = `Recording, for at most ${LONGEST_S} s …`;
      const ours = recording;
      setTimeout(() => {
        if (recording === ours) button.click();
      }, LONGEST_S * 1000);
    } catch (error) {
      status.textContent = `The microphone cannot be used: ${error.message}`;
    }
  });
}

async function record(tell) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  await context.audioWorklet.addModule(button.dataset.worklet);
  const node = new AudioWorkletNode(context, "recorder");
  const pieces = [];
  let samples = 0;
  node.port.onmessage = (event) => {
    pieces.push(event.data);
    const told = Math.floor(samples / context.sampleRate / TOLD_EVERY_S);
    samples += event.data.length;
    const now = Math.floor(samples / context.sampleRate / TOLD_EVERY_S);
    if (now > told) tell(now * TOLD_EVERY_S);
  };
  context.createMediaStreamSource(stream).connect(node);
  return {
    async stop() {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      return wavOf(pieces, context.sampleRate);
    },
  };
}

function wavOf(pieces, rate) {
  const samples = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples, true);
  let at = 44;
  for (const piece of pieces) {
    for (const sample of piece) {
      view.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true);
      at += 2;
    }
  }
  return view.buffer;
}
