/* simd/int8_rows.h: computes an int8 layer in tiles of at most six rows, for the instruction sets whose
 * kernels use such tiles.
 *
 * A kernel includes it after INT8_ROWS (6) and int8_panel(), which computes one group of rows over a panel of
 * output channels. linear_int8() spreads rows over tiles evenly. It contains one inlined int8_panel() for each
 * number of rows.
 */
#ifndef SIMD_INT8_ROWS_H
#define SIMD_INT8_ROWS_H

static void linear_int8(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride)
{
    size_t tiles = (rows + INT8_ROWS - 1) / INT8_ROWS;
    for (size_t panel = panel_begin; panel < panel_end; panel++)
        for (size_t left = tiles, r = 0; left > 0; left--) {
            size_t take = (rows - r + left - 1) / left;
            switch (take) {
            case 6: int8_panel(x, r, 6, layer, panel, act, out, out_stride); break;
            case 5: int8_panel(x, r, 5, layer, panel, act, out, out_stride); break;
            case 4: int8_panel(x, r, 4, layer, panel, act, out, out_stride); break;
            case 3: int8_panel(x, r, 3, layer, panel, act, out, out_stride); break;
            case 2: int8_panel(x, r, 2, layer, panel, act, out, out_stride); break;
            default: int8_panel(x, r, 1, layer, panel, act, out, out_stride); break;
            }
            r += take;
        }
}

#endif
