/** Loaded into a daemon before its own modules. Its clock goes wrong by TORTURE_CLOCK_MS. */
const shiftMs = Number(process.env['TORTURE_CLOCK_MS'])
const now = Date.now.bind(Date)
Date.now = () => now() + shiftMs
