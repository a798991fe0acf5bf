// SPDX-License-Identifier: GPL-2.0-only OR MIT
// Zoom and exact times for the timelines. Without this script the page shows the same pictures and
// tables; all that it knows is read from the tables of exact times.
'use strict';
(() => {
  // As in panel.rs.
  const WIDTH = 10000;
  const ROW = 10;
  const SEQUENCE = ['kick', 'entry', 'alive', 'release', 'starting', 'online', 'active'];
  const UNITS = [['s', 1e9], ['ms', 1e6], ['us', 1e3], ['ns', 1]];
  const IDLE = 'Point at a span, or go there with Tab and the arrow keys, for its exact times.';
  const tip = document.getElementById('tip');

  const exact = ns => String(ns).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f') + ' ns';

  function rounded(ns) {
    const [symbol, unit] = UNITS.find(([, unit]) => ns >= unit) || UNITS[3];
    return symbol === 'ns' ? ns + ' ns' : (ns / unit).toPrecision(3) + ' ' + symbol;
  }

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // One picture, with the times of its table.
  class Panel {
    constructor(figure, group) {
      this.figure = figure;
      this.group = group;
      this.end = Number(figure.dataset.end);
      this.coarse = 'coarse' in figure.dataset;
      this.plot = figure.querySelector('.plot');
      this.area = figure.querySelector('.area');
      // A picture on another scale has the table of the first.
      this.table = (document.getElementById(figure.dataset.table) || figure).querySelector('table.times');
      this.readout = figure.querySelector('.readout');
      this.paths = [...figure.querySelectorAll('svg path')].map(path =>
        ({path, name: path.classList[path.classList.length - 1], whole: path.getAttribute('d')}));
      this.labels = ['.ticks', '.numbers'].map(name => {
        const box = figure.querySelector(name);
        return {box, whole: [...box.childNodes]};
      });
      this.total = figure.querySelector('.total');
      this.totalAt = Number(figure.dataset.total);
      this.lane = this.mark('lane');
      this.cursor = this.mark('cursor');
      this.rubber = this.mark('rubber');
      this.plot.tabIndex = 0;
      this.plot.classList.add('live');
      this.say(null);
      this.listen();
    }

    mark(name) {
      const element = document.createElement('div');
      element.className = name;
      element.hidden = true;
      this.area.append(element);
      return element;
    }

    // The rows of the table: for each CPU its stamps and the spans between them.
    get cpus() {
      if (!this.read) {
        const table = this.table;
        const stamps = [...table.tHead.rows[0].cells].map(cell => cell.dataset.stamp);
        this.read = [...table.tBodies[0].rows].map(row => {
          const cpu = {spans: [], at: {}};
          [...row.cells].forEach((cell, index) => {
            const text = cell.textContent.trim();
            if (stamps[index]) {
              if (text !== '') cpu.at[stamps[index]] = Number(text);
            } else {
              cpu[['cpu', 'mpidr', 'node'][index] || 'outcome'] = text;
            }
          });
          return cpu;
        });
        const boot = this.read.find(cpu => cpu.outcome === 'boot');
        for (const cpu of this.read) {
          if (cpu === boot) continue;
          const reached = SEQUENCE.filter(stamp => stamp in cpu.at);
          reached.slice(1).forEach((to, index) => {
            const from = reached[index];
            cpu.spans.push({name: from, what: `${from} to ${to}`, from: cpu.at[from], to: cpu.at[to]});
          });
          if (this.coarse && 'online' in cpu.at) {
            cpu.spans.push({name: 'spoke', what: 'spoke', from: cpu.at.online, to: cpu.at.online});
          }
          if (boot && 'kick' in cpu.at && 'kicked' in cpu.at) {
            boot.spans.push({name: 'call', what: `kick call for CPU ${cpu.cpu}`, from: cpu.at.kick, to: cpu.at.kicked});
          }
        }
      }
      return this.read;
    }

    // Draws what the group's view shows.
    draw() {
      const {t0, t1, r0, r1} = this.group.view(this);
      const rows = this.cpus.length;
      this.lane.hidden = this.cursor.hidden = true;
      this.area.classList.toggle('empty', !this.group.whole && !this.inView(t0, t1, r0, r1));
      if (this.group.whole) {
        for (const {path, whole} of this.paths) path.setAttribute('d', whole);
        for (const {box, whole} of this.labels) box.replaceChildren(...whole);
      } else {
        const x = time => Math.round(clamp((time - t0) / (t1 - t0), -0.01, 1.01) * WIDTH * 10) / 10;
        const height = rows * ROW / (r1 - r0);
        const gap = height >= ROW * 1.5 || rows <= 64 ? height / 10 : 0;
        const parts = {grid: []};
        const ticks = this.ticks(t0, t1);
        for (const {at} of ticks) parts.grid.push(`M${x(at)} 0v${rows * ROW}`);
        for (let row = Math.floor(r0); row < Math.min(Math.ceil(r1), rows); row++) {
          const cpu = this.cpus[row];
          const top = (row - r0) * height;
          for (const {name, from, to} of cpu.spans) {
            const path = parts[name] || (parts[name] = []);
            if (to < t0 || from > t1) continue;
            if (name === 'spoke') {
              path.push(`M${x(from)} ${top + height / 2}h0`);
              continue;
            }
            // Whatever is in view can be seen.
            const width = Math.max(x(to) - x(from), 6);
            path.push(`M${x(from)} ${top + gap}h${width}v${height - 2 * gap}h${-width}z`);
          }
          if (cpu.outcome !== 'boot' && this.failed(row)) {
            const last = Math.max(0, ...Object.values(cpu.at));
            (parts.failed || (parts.failed = [])).push(`M${x(last)} ${top + height / 2}h0`);
          }
        }
        for (const {path, name} of this.paths) path.setAttribute('d', (parts[name] || []).join(''));
        const label = (side, percent, text) => {
          const span = document.createElement('span');
          span.style[side] = percent + '%';
          span.textContent = text;
          return span;
        };
        const [tickBox, numberBox] = this.labels;
        tickBox.box.replaceChildren(...ticks.map(({at, text}) => label('left', (at - t0) / (t1 - t0) * 100, text)));
        const every = Math.max(1, 2 ** Math.ceil(Math.log2((r1 - r0) * 15 / this.area.clientHeight)));
        const numbers = [];
        for (let row = Math.ceil(r0 / every) * every; row < Math.min(r1, rows); row += every) {
          numbers.push(label('top', (row + 0.5 - r0) / (r1 - r0) * 100, this.cpus[row].cpu));
        }
        numberBox.box.replaceChildren(...numbers);
      }
      if (this.total) {
        const place = (this.totalAt - t0) / (t1 - t0);
        this.total.hidden = place < 0 || place > 1;
        this.total.style.left = place * 100 + '%';
      }
    }

    // Whether any span is in a part of the picture.
    inView(t0, t1, r0, r1) {
      return this.cpus.slice(Math.floor(r0), Math.ceil(r1)).some(cpu => cpu.spans.some(({from, to}) => to >= t0 && from <= t1));
    }

    failed(row) {
      return this.table.tBodies[0].rows[row].classList.contains('failed');
    }

    // Round times between two others, with as many digits as tell them apart.
    ticks(t0, t1) {
      const rough = (t1 - t0) / clamp(this.area.clientWidth / 110, 2, 8);
      const decade = 10 ** Math.floor(Math.log10(rough));
      const step = Math.max(1, [1, 2, 5, 10].map(factor => factor * decade).find(step => step >= rough));
      const [symbol, unit] = UNITS.find(([, unit]) => t1 >= unit) || UNITS[3];
      const digits = clamp(Math.ceil(Math.log10(unit / step)), 0, 9);
      const ticks = [];
      for (let at = Math.ceil(t0 / step) * step; at <= t1; at += step) {
        ticks.push({at, text: at === 0 ? '0' : (at / unit).toFixed(digits) + ' ' + symbol});
      }
      return ticks;
    }

    // What is known about a span of a CPU, or about the CPU.
    words(cpu, span) {
      const head = `CPU ${cpu.cpu} (MPIDR ${cpu.mpidr}${cpu.node === '' ? '' : ', node ' + cpu.node}), ${cpu.outcome}`;
      if (!span) return head;
      if (span.name === 'spoke') return `${head}\nspoke after ${exact(span.from)}`;
      return `${head}\n${span.what}: ${rounded(span.to - span.from)} (${exact(span.to - span.from)})\nfrom ${exact(span.from)} to ${exact(span.to)}`;
    }

    say(text) {
      this.readout.textContent = text === null ? IDLE : text.replaceAll('\n', '; ');
    }

    // Marks a span of a row, and says what it is.
    show(row, span) {
      const {t0, t1, r0, r1} = this.group.view(this);
      const cpu = this.cpus[row];
      const top = (row - r0) / (r1 - r0) * 100;
      const height = 100 / (r1 - r0);
      for (const mark of [this.lane, this.cursor]) {
        mark.hidden = mark === this.cursor && !span;
        mark.style.top = top + '%';
        mark.style.height = height + '%';
      }
      if (span) {
        this.cursor.style.left = (span.from - t0) / (t1 - t0) * 100 + '%';
        this.cursor.style.width = (span.to - span.from) / (t1 - t0) * 100 + '%';
      }
      const words = this.words(cpu, span);
      this.say(words);
      return words;
    }

    // The row, the time and the span at a place of the screen.
    find(event) {
      const box = this.area.getBoundingClientRect();
      const {t0, t1, r0, r1} = this.group.view(this);
      const x = clamp((event.clientX - box.left) / box.width, 0, 1);
      const y = clamp((event.clientY - box.top) / box.height, 0, 0.999999);
      const row = clamp(Math.floor(r0 + y * (r1 - r0)), 0, this.cpus.length - 1);
      const time = t0 + x * (t1 - t0);
      const near = (t1 - t0) * 5 / box.width;
      const distance = ({from, to}) => Math.max(from - time, time - to, 0);
      let span = null;
      // Of spans that touch, the last one begins here.
      for (const candidate of this.cpus[row].spans) {
        if (distance(candidate) <= near && (!span || distance(candidate) <= distance(span))) span = candidate;
      }
      return {row, time, span, x, y};
    }

    hide() {
      this.lane.hidden = this.cursor.hidden = tip.hidden = true;
      this.say(null);
    }

    listen() {
      const {area, plot} = this;
      let from = null;
      area.addEventListener('pointermove', event => {
        const found = this.find(event);
        if (from) {
          const rubber = this.rubber.style;
          this.rubber.hidden = false;
          rubber.left = Math.min(from.x, found.x) * 100 + '%';
          rubber.width = Math.abs(from.x - found.x) * 100 + '%';
          const tall = this.isTall(from, found);
          rubber.top = tall ? Math.min(from.y, found.y) * 100 + '%' : '0';
          rubber.height = tall ? Math.abs(from.y - found.y) * 100 + '%' : '100%';
          tip.hidden = true;
          return;
        }
        tip.textContent = this.show(found.row, found.span);
        tip.hidden = event.pointerType === 'touch';
        const {innerWidth, innerHeight} = window;
        tip.style.left = clamp(event.clientX + 14, 4, innerWidth - tip.offsetWidth - 4) + 'px';
        const below = event.clientY + 18;
        tip.style.top = (below + tip.offsetHeight < innerHeight ? below : event.clientY - tip.offsetHeight - 10) + 'px';
      });
      area.addEventListener('pointerleave', () => {
        tip.hidden = true;
        // What the keys have marked stays.
        if (!from && document.activeElement !== plot) this.hide();
      });
      area.addEventListener('pointerdown', event => {
        if (event.pointerType === 'touch' || event.button !== 0) {
          const found = this.find(event);
          this.show(found.row, found.span);
          return;
        }
        from = this.find(event);
        area.setPointerCapture(event.pointerId);
      });
      const release = event => {
        if (!from) return;
        const [start, end] = [from, this.find(event)];
        from = null;
        this.rubber.hidden = true;
        if (event.type === 'pointerup' && Math.abs(start.x - end.x) * area.clientWidth > 4) {
          const view = this.group.view(this);
          const change = {t0: Math.min(start.time, end.time), t1: Math.max(start.time, end.time)};
          if (this.isTall(start, end)) {
            const rows = y => view.r0 + y * (view.r1 - view.r0);
            change.r0 = Math.floor(rows(Math.min(start.y, end.y)));
            change.r1 = Math.ceil(rows(Math.max(start.y, end.y)));
          }
          this.group.set({...view, ...change}, this);
        }
      };
      area.addEventListener('pointerup', release);
      area.addEventListener('pointercancel', release);
      area.addEventListener('dblclick', () => this.group.reset());
      area.addEventListener('wheel', event => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const {x, y} = this.find(event);
        const factor = event.deltaY < 0 ? 0.8 : 1.25;
        if (event.shiftKey) this.group.zoomRows(factor, y); else this.group.zoom(factor, x);
      }, {passive: false});
      plot.addEventListener('keydown', event => this.key(event));
      plot.addEventListener('blur', () => this.hide());
      plot.addEventListener('focus', () => this.go(0, 0));
    }

    // Whether what is dragged over is about some of the rows: few rows are all shown anyhow.
    isTall(a, b) {
      return this.cpus.length > 16 && Math.abs(a.y - b.y) * this.area.clientHeight > 12;
    }

    // Moves the mark by rows and by spans.
    go(rows, spans) {
      const {r0, r1} = this.group.view(this);
      this.row = clamp((this.row ?? Math.min(1, this.cpus.length - 1)) + rows, 0, this.cpus.length - 1);
      if (this.row < r0 || this.row >= r1) {
        const size = r1 - r0;
        const start = clamp(this.row - Math.floor(size / 2), 0, Math.max(0, this.cpus.length - size));
        this.group.set({...this.group.view(this), r0: start, r1: start + size}, this);
      }
      const all = this.cpus[this.row].spans;
      this.span = clamp((this.span ?? 0) + spans, 0, Math.max(0, all.length - 1));
      this.show(this.row, all[this.span]);
    }

    key(event) {
      const {key, shiftKey} = event;
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-16, 0], PageDown: [16, 0]};
      if (key === 'Home') this.go(-Infinity, 0);
      else if (key === 'End') this.go(this.cpus.length, 0);
      else if (key === '0' || key === 'Escape') this.group.reset();
      else if (key === '+' || key === '=') this.group.zoom(0.5, this.centre());
      else if (key === '-') this.group.zoom(2, 0.5);
      else if (shiftKey && key in moves) this.group.move(moves[key][1] * 0.2, moves[key][0] * 0.2);
      else if (key in moves) this.go(...moves[key]);
      else return;
      event.preventDefault();
    }

    // Where the marked span is, for a zoom to stay there.
    centre() {
      const {t0, t1} = this.group.view(this);
      const span = this.row === undefined ? null : this.cpus[this.row].spans[this.span ?? 0];
      return span ? clamp(((span.from + span.to) / 2 - t0) / (t1 - t0), 0, 1) : 0.5;
    }
  }

  // Pictures of one scale, zoomed together.
  class Group {
    constructor(box) {
      this.whole = true;
      this.box = box;
      const figures = [...box.querySelectorAll('figure.panel')];
      this.end = Math.max(...figures.map(figure => Number(figure.dataset.end)));
      this.tools(box);
      this.panels = figures.map(figure => new Panel(figure, this));
    }

    view(panel) {
      const all = {t0: 0, t1: this.end, r0: 0, r1: panel.cpus.length};
      if (this.whole) return all;
      // Not all need have the same number of rows.
      const r1 = Math.min(this.at.r1, all.r1);
      return {...this.at, r0: Math.min(this.at.r0, Math.max(0, r1 - 1)), r1};
    }

    set(view, panel) {
      const rows = Math.max(...(panel ? [panel] : this.panels).map(panel => panel.cpus.length));
      const length = clamp(view.t1 - view.t0, Math.min(8, this.end), this.end);
      const t0 = clamp(view.t0, 0, this.end - length);
      const size = clamp(view.r1 - view.r0, Math.min(4, rows), rows);
      const r0 = clamp(view.r0, 0, rows - size);
      this.at = {t0, t1: t0 + length, r0, r1: r0 + size};
      this.whole = length >= this.end && size >= rows;
      this.draw();
    }

    draw() {
      for (const panel of this.panels) panel.draw();
      this.box.dataset.zoom = this.whole ? 'all' : `${Math.round(this.at.t0)}-${Math.round(this.at.t1)}`;
    }

    reset() {
      this.whole = true;
      this.draw();
    }

    now() {
      const rows = Math.max(...this.panels.map(panel => panel.cpus.length));
      return this.whole ? {t0: 0, t1: this.end, r0: 0, r1: rows} : this.at;
    }

    zoom(factor, centre) {
      const {t0, t1, ...rows} = this.now();
      const length = (t1 - t0) * factor;
      const start = t0 + (t1 - t0) * centre - length * centre;
      this.set({t0: start, t1: start + length, ...rows});
    }

    zoomRows(factor, centre) {
      const {r0, r1, ...times} = this.now();
      const size = Math.round((r1 - r0) * factor);
      const start = Math.round(r0 + (r1 - r0) * centre - size * centre);
      this.set({r0: start, r1: start + size, ...times});
    }

    move(times, rows) {
      const {t0, t1, r0, r1} = this.now();
      const [by, down] = [(t1 - t0) * times, Math.round((r1 - r0) * rows)];
      this.set({t0: t0 + by, t1: t1 + by, r0: r0 + down, r1: r1 + down});
    }

    tools(box) {
      const bar = document.createElement('div');
      bar.className = 'tools';
      bar.setAttribute('role', 'toolbar');
      bar.setAttribute('aria-label', 'Zoom');
      for (const [text, label, act] of [
        ['+', 'Zoom in', () => this.zoom(0.5, 0.5)],
        ['\u2212', 'Zoom out', () => this.zoom(2, 0.5)],
        ['\u25c0', 'Earlier', () => this.move(-0.4, 0)],
        ['\u25b6', 'Later', () => this.move(0.4, 0)],
        ['+ CPUs', 'Fewer CPUs, larger', () => this.zoomRows(0.5, 0.5)],
        ['\u2212 CPUs', 'More CPUs, smaller', () => this.zoomRows(2, 0.5)],
        ['\u25b2', 'CPUs above', () => this.move(0, -0.4)],
        ['\u25bc', 'CPUs below', () => this.move(0, 0.4)],
        ['All', 'Show all', () => this.reset()],
      ]) {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = text;
        button.setAttribute('aria-label', label);
        button.title = label;
        button.addEventListener('click', act);
        bar.append(button);
      }
      box.prepend(bar);
    }
  }

  for (const box of document.querySelectorAll('.timelines')) new Group(box);

  // On paper everything is open but the long tables.
  let closed = [];
  window.addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not(.exact):not([open])')];
    for (const details of closed) details.open = true;
  });
  window.addEventListener('afterprint', () => {
    for (const details of closed) details.open = false;
  });
})();
