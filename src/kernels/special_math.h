// Special functions that are computed one number at a time, in double.
#pragma once

namespace tabula::kernels {

double lgamma(double x);
double digamma(double x);
double polygamma(double n, double x);
double zeta(double s, double q);  // Hurwitz
double erfinv(double y);
double erfcx(double x);
double ndtri(double p);
double log_ndtr(double x);
double i0(double x);
double i0e(double x);
double i1(double x);
double i1e(double x);
double igamma(double a, double x);
double igammac(double a, double x);

}  // namespace tabula::kernels
